"""Inference of long clips, what it tells of its pace, and what it refuses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from faces.errors import DataError
from models.faceformer.face import FaceFormer
from models.faceformer.settings import Settings
from pipeline.errors import StageError
from stages.infer import Infer, Params, long
from stages.infer.long import check_room, write_motions
from stages.infer.pace import Pace
from stages.kinds.predictions import Predictions
from tests.stages.fake_job import FakeJob
from tests.stages.speaking_runs import trained
from tests.stages.test_infer import inputs as fake_inputs

__all__ = ["fake_inputs"]
SMALL = Settings(feature_dim=8, heads=2, encoder_width=16, encoder_layers=1, encoder_heads=1, motion_scale=0.01)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return trained(tmp_path_factory.mktemp("inputs"), "faceformer", SMALL, epochs=2, lr=1e-2)


def run(folder: Path, inputs: dict[str, Path], **params: Any) -> FakeJob:
    job = FakeJob.under(folder, inputs)
    Infer(Params(**params)).run(job)
    return job


def motions(job: FakeJob) -> dict[str, np.ndarray]:
    made = Predictions(job.out)
    return {name: np.asarray(made.motion(name)) for name in made.items}


@pytest.fixture
def everything_is_long(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """And nothing may be predicted whole. Collects how many frames each block has."""
    sizes: list[int] = []
    original = FaceFormer.predict_blocks

    def counted(self: Any, *given: Any) -> Any:
        for block in original(self, *given):
            sizes.append(block.shape[1])
            yield block

    monkeypatch.setattr(long, "LONG", 0)
    monkeypatch.setattr(long, "HELD", 4 * 36 * 2 * 7)
    monkeypatch.setattr(FaceFormer, "predict_blocks", counted)
    monkeypatch.setattr(FaceFormer, "predict_all", None)
    return sizes


@pytest.mark.parametrize("at_once", [8, 1])
def test_long_clips_are_what_short_ones_are(
    inputs: dict[str, Path], tmp_path: Path, request: pytest.FixtureRequest, at_once: int
) -> None:
    whole = motions(run(tmp_path / "a", inputs))
    sizes = request.getfixturevalue("everything_is_long")
    job = run(tmp_path / "b", inputs, at_once=at_once)
    assert set(sizes) > {7 if at_once == 8 else 14}
    assert motions(job).keys() == whole.keys()
    for name, motion in motions(job).items():
        np.testing.assert_allclose(motion, whole[name], atol=1e-6)
    assert job.notes["speech_seconds"] == pytest.approx(sum(map(len, whole.values())) / 30, abs=1e-3)


def test_blocks_make_the_very_file_that_numpy_writes(tmp_path: Path) -> None:
    motion = np.random.default_rng(0).standard_normal((2, 23, 6)).astype(np.float32)
    files = [tmp_path / "a.npy", tmp_path / "b.npy"]
    write_motions(files, torch.from_numpy(motion).split(5, dim=1), (23, 6), "x")
    for file, expected in zip(files, motion, strict=True):
        np.save(tmp_path / "expected.npy", expected)
        assert file.read_bytes() == (tmp_path / "expected.npy").read_bytes()


def test_motion_that_breaks_halfway_leaves_no_file(tmp_path: Path) -> None:
    blocks = [torch.zeros(1, 5, 6), torch.full((1, 5, 6), float("nan"))]
    with pytest.raises(StageError, match="motion for x is not finite"):
        write_motions([tmp_path / "a.npy"], blocks, (10, 6), "x")
    assert list(tmp_path.iterdir()) == []


def test_a_window_is_near_and_exact_where_it_holds_the_clip(inputs: dict[str, Path], tmp_path: Path) -> None:
    exact, wide = motions(run(tmp_path / "a", inputs)), motions(run(tmp_path / "b", inputs, window=5.0))
    for name, motion in exact.items():
        assert np.array_equal(motion, wide[name])
    assert list(Infer(Params(window=0.5)).check()) == [
        "window = 0.5: the speech encoder hears a second or more at once; 0 is all"
    ]


def test_a_network_without_windows(fake_inputs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"window = 4, and .* does not hear speech in windows: leave window out"):
        run(tmp_path, fake_inputs, window=4.0)


def test_pace_is_told_and_noted(inputs: dict[str, Path], tmp_path: Path) -> None:
    job = run(tmp_path, inputs)
    said = [line for line in job.said if line.startswith("spoke ")]
    assert len(said) == 1
    assert "than real time; first frame after " in said[0]
    assert job.notes["times_real_time"] == pytest.approx(job.notes["speech_seconds"] / job.notes["seconds"], rel=0.2)
    assert job.notes["first_frame_seconds"] > 0


def test_nothing_made_nothing_told(tmp_path: Path) -> None:
    job = FakeJob.under(tmp_path)
    Pace(30.0).tell(job)
    assert (job.said, job.notes) == ([], {})


def test_features_that_are_no_numbers(inputs: dict[str, Path], tmp_path: Path) -> None:
    broken = tmp_path / "features"
    broken.mkdir()
    os.link(inputs["features"] / "encoder.json", broken / "encoder.json")
    (broken / "features.h5").write_bytes((inputs["features"] / "features.h5").read_bytes())
    with h5py.File(broken / "features.h5", "r+") as file:
        file["D_s02"][3, 4] = np.nan
    with pytest.raises(DataError, match=r"features of D_s02 that are not numbers .*run the features step again"):
        run(tmp_path / "run", inputs | {"features": broken})


def test_a_misspelt_style_is_offered_the_nearest(tmp_path: Path) -> None:
    from stages.infer.styles import styles_of

    with pytest.raises(StageError, match=r"names FaceTalk_17; here was trained on .*\. Did you mean 'FaceTalk_170'\?$"):
        styles_of(["FaceTalk_17"], "x", ["FaceTalk_170", "M3"], Path("here"))
    with pytest.raises(StageError, match=r"names zzz; here was trained on A, B\. Name one of these\.$"):
        styles_of(["zzz"], "x", ["A", "B"], Path("here"))


class Costly:
    """A network that looks back on all frames."""

    fps = 30.0

    def frames_for(self, features: int) -> int:
        return features

    def exact_bytes(self, frames: int, rows: int) -> int:
        return 1000 * frames * rows


def test_a_clip_that_memory_cannot_hold_names_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long, "memory_of", lambda device: 10_000_000)
    job = FakeJob.under(tmp_path)
    check_room(job, Costly(), "x", 1000, 8)
    assert job.said == []
    check_room(job, Costly(), "x", 2000, 1)
    assert "x has 2,000 frames, and each looks back on all before it" in job.said[0]
    with pytest.raises(StageError, match=r"x has 2,000 frames, and looking back on all .*: set context \(in frames"):
        check_room(job, Costly(), "x", 2000, 8)
