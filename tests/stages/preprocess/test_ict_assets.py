"""The two real clones: what is known of them comes out of our reading of them."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

from stages.kinds.card import Check
from stages.preprocess.ict_facegood import Settings
from stages.preprocess.ict_facegood.layout import find
from stages.preprocess.ict_facegood.prepare import IctFacegood
from tests.assets import asset, needs_assets

pytestmark = needs_assets
CLIP = "1114_2_03"
QUIET_DB, VOICED_DB = -30.0, -13.0
"""Below and above a clip's loud frames; between them is neither silence nor a vowel."""


@pytest.fixture(scope="module")
def ict(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kit")
    with tarfile.open(asset("open/ICT-FaceKit.tar.xz")) as archive:
        archive.extractall(folder, filter="data")
    return folder / "ICT-FaceKit"


@pytest.fixture(scope="module")
def data(ict: Path) -> IctFacegood:
    return opened(ict)


def opened(ict: Path, head: str = "face") -> IctFacegood:
    settings = Settings(facegood=str(asset("open/FACEGOOD-Audio2Face")), ict=str(ict), head=head)
    return IctFacegood(settings, find(settings))


def test_the_lips_are_closed_in_silence_and_open_in_speech(data: IctFacegood) -> None:
    """The known figures: landmarks 62 and 66 are 0.10 cm apart in silence on average, 1.38 cm when voiced."""
    centimetres, level = 100 * data.gaps(CLIP), data.loudness[CLIP]
    assert centimetres[level < QUIET_DB].mean() == pytest.approx(0.10, abs=0.01)
    assert centimetres[level > VOICED_DB].mean() == pytest.approx(1.38, abs=0.03)


def test_the_gap_is_that_of_the_sequences(data: IctFacegood) -> None:
    """What the figures are of is what is written, but for the subject's own lips."""
    name = next(name for name in data.names if CLIP in name[1])
    upper, lower = (data.regions[part][0] for part in ("lip_upper", "lip_lower"))
    moved = data.motion(name, 1) - data.templates[name[0]] + data.kit.neutral.astype(np.float32)
    found = np.linalg.norm(moved[:, upper] - moved[:, lower], axis=1)
    first, end = data.cast.lines[name].span
    np.testing.assert_allclose(found, data.gaps(CLIP)[first:end], atol=1e-6)


def test_every_check_of_the_card_passes(data: IctFacegood) -> None:
    checks: list[Check] = list(data.checks({}))
    assert [check for check in checks if not check.passed] == []
    assert len(checks) == 4
    assert data.layout.unseen == ["1114_2_06"]


def test_the_splits_are_the_documented_ones(data: IctFacegood) -> None:
    counts = dict.fromkeys(("train", "val", "test"), 0)
    for name in data.names:
        counts[data.cast.splits.of(*name)] += 1
    assert counts == {"train": 99, "val": 12, "test": 33}
    seconds = [data.frames(name) / data.fps for name in data.names]
    assert 2.5 <= min(seconds) <= max(seconds) <= 8.0


def test_the_parts_of_the_head_are_those_of_the_kits_own_table(ict: Path, data: IctFacegood) -> None:
    """Its README counts 9,409 vertices of the face, 4,412 of teeth, 2,977 of gums and tongue, 2,046 of the socket."""
    assert (len(data.kit.neutral), len(data.faces)) == (9409, 2 * 9230)
    whole = opened(ict, "whole")
    sizes = {name: len(indices) for name, indices in whole.regions.items()}
    assert len(whole.kit.neutral) == 24591
    assert (sizes["face"], sizes["teeth"], sizes["eyes"]) == (9409, 4412, 2 * 1570)
    assert (
        2977 + 2046 <= sizes["mouth_interior"] <= 2977 + 2046 + 80
    )  # and the rim that the socket shares with the face
    for name in ("lips", "upper_face", "landmarks"):
        np.testing.assert_array_equal(whole.regions[name], data.regions[name])


def test_faces_are_counter_clockwise_seen_from_outside(data: IctFacegood) -> None:
    """Of the triangles about the tip of the nose; the renderer and the normals count on it."""
    nose = data.kit.landmarks[30]
    corners = data.kit.neutral[data.faces[(data.faces == nose).any(axis=1)]]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert normals[:, 2].min() > 0
