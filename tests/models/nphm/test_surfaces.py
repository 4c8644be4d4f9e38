"""Meshes of a small head that talks: equal to the dense form, in one topology where that is wished."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.nphm_head import codes as codes_of
from benchmarks.nphm_head import head
from faces.errors import DataError
from faces.implicit.settings import Extraction
from faces.implicit.surface import extract
from faces.implicit.tracking import Tracking
from faces.implicit.weight import FacialWeight
from faces.mesh_measures import vertex_chamfer
from models.nphm.arrays import HeadArrays
from models.nphm.facial import facial_weight
from models.nphm.frozen import HeadAt
from models.nphm.head import BACKWARD, FORWARD, HeadModel
from models.nphm.sizes import CanonicalSizes, DeformationSizes, IdentitySizes
from models.nphm.surfaces import FIXED, Making, Talker

SMALL = {"global_code": 6, "local_code": 4}
EXTRACTION = Extraction(resolution=24, chunk=4000)
FACIAL = FacialWeight(centre=(0.0, -0.1, 0.3), radius=0.1, sigma=0.1)


@pytest.fixture(scope="module")
def mono() -> HeadModel:
    canonical = CanonicalSizes(**SMALL, anchors=15, pairs=6, width=24, neighbours=8)
    moves = DeformationSizes(**SMALL, anchors=15, pairs=6, hyper=2, width=30, bottleneck=4, expression=6)
    return head(canonical, moves, BACKWARD)


@pytest.fixture(scope="module")
def nphm() -> HeadModel:
    sizes = {**SMALL, "anchors": 39, "pairs": 16}
    moves = DeformationSizes(**sizes, width=30, bottleneck=4, expression=6)
    return head(IdentitySizes(**sizes, width=24), moves, FORWARD)


def walk(model: HeadModel, frames: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """An identity code and (T, E) expressions that change little by little."""
    drawn = [codes_of(model, number) for number in range(frames)]
    return drawn[0][0].numpy(), np.stack([code.numpy() for _, code in drawn])


def at(model: HeadModel, identity: np.ndarray, code: np.ndarray, facial: FacialWeight | None = None) -> HeadArrays:
    return HeadArrays(HeadAt(model, torch.from_numpy(identity), torch.from_numpy(code), facial=facial))


@pytest.mark.parametrize("facial", [None, FACIAL])
def test_frames_are_those_of_the_dense_form(mono: HeadModel, facial: FacialWeight | None) -> None:
    identity, codes = walk(mono)
    talker = Talker(mono, identity, Making(EXTRACTION, facial=facial))
    frames = list(talker.frames(codes))
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.whole for frame in frames] == [True, False, False, False, False]
    for frame, code in zip(frames, codes, strict=True):
        dense = extract(at(mono, identity, code, facial).field, replace(EXTRACTION, search="dense"))
        assert len(frame.mesh.faces) == len(dense.faces)
        assert vertex_chamfer(frame.mesh, dense) < 1e-6
        assert frame.asked < 0.75 * EXTRACTION.resolution**3


def test_a_surface_that_jumps_is_found_whole(mono: HeadModel) -> None:
    identity, codes = walk(mono, 2)
    codes[1] = -6 * codes[1]
    _, frame = Talker(mono, identity, Making(EXTRACTION)).frames(codes)
    dense = extract(at(mono, identity, codes[1]).field, replace(EXTRACTION, search="dense"))
    assert vertex_chamfer(frame.mesh, dense) < 1e-6


def test_expressions_count_around_the_mouth_alone(mono: HeadModel) -> None:
    identity, codes = walk(mono, 1)
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (50, 3)).astype(np.float32)
    weight = facial_weight(FACIAL, torch.from_numpy(points)).numpy()
    assert np.allclose(weight[:, 0], FACIAL(points), atol=1e-6)
    whole, weak = (at(mono, identity, codes[0], facial).canonical(points) for facial in (None, FACIAL))
    assert np.allclose(weak[:, :3] - points, weight * (whole[:, :3] - points), atol=1e-6)
    assert np.allclose(weak[:, 3:], weight * whole[:, 3:], atol=1e-6)


def test_slopes_go_through_the_weight(mono: HeadModel) -> None:
    identity, codes = walk(mono, 1)
    arrays = at(mono, identity, codes[0], FACIAL)
    points = np.array([[0.05, -0.1, 0.52], [0.2, 0.1, 0.35]], np.float32)
    _, slopes = arrays.slope(points)
    for axis in range(3):
        step = np.zeros(3, np.float32)
        step[axis] = 2e-3
        ahead, back = arrays.field(points + step), arrays.field(points - step)
        assert np.allclose((ahead - back) / 4e-3, slopes[:, axis], atol=2e-2)


def test_fixed_topology_follows_the_widest_mouth(mono: HeadModel) -> None:
    identity, codes = walk(mono)
    talker = Talker(mono, identity, Making(EXTRACTION, topology=FIXED, tracking=Tracking(newton=4)))
    frames = sorted(talker.frames(codes), key=lambda frame: frame.number)
    reference = int(talker.openness(codes).argmax())
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.number for frame in frames if frame.whole] == [reference]
    for frame, code in zip(frames, codes, strict=True):
        assert np.array_equal(frame.mesh.faces, frames[0].mesh.faces)
        off = np.abs(at(mono, identity, code).field(frame.mesh.vertices))
        assert np.median(off) < 2e-4
        assert np.percentile(off, 95) < 2e-3
    moved = np.linalg.norm(frames[4].mesh.vertices - frames[0].mesh.vertices, axis=1)
    assert moved.max() > 5e-3
    (other, *_) = Talker(mono, identity, Making(EXTRACTION, topology=FIXED, reference=2)).frames(codes)
    assert other.number == 2


class Jaw:
    """What `HeadArrays` tells of a head whose parts below a height have come down, and all of which has moved aside."""

    def __init__(self, drop: float, height: float = 0.1) -> None:
        self.drop, self.height = drop, height

    def canonical(self, points: np.ndarray) -> np.ndarray:
        came = np.zeros((len(points), 5), np.float32)
        came[:, :3] = points + np.array([0.1, 0.05, 0])
        came[:, 1] += self.drop * (points[:, 1] < self.height)
        return came

    def posed(self, points: np.ndarray) -> np.ndarray:
        return 2 * points - self.canonical(points)[:, :3]


@pytest.mark.parametrize("kind", ["mono", "nphm"])
def test_a_mouth_is_open_where_what_is_below_it_has_come_down(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity, _ = walk(request.getfixturevalue(kind))
    talker = Talker(request.getfixturevalue(kind), identity, Making(EXTRACTION, mouth=(0.0, 0.1, 0.3)))
    monkeypatch.setattr(talker, "_saying", lambda code: Jaw(float(code[0])))
    drops = np.array([[0.02], [0.0], [0.05]], np.float32)
    assert np.allclose(talker.openness(drops), drops[:, 0], atol=1e-6)
    assert talker.reference(drops) == 2


def test_a_forward_model_moves_one_surface(nphm: HeadModel) -> None:
    identity, codes = walk(nphm, 3)
    extraction = replace(EXTRACTION, search="signs")
    talker = Talker(nphm, identity, Making(extraction))
    frames = list(talker.frames(codes))
    assert talker.topology == FIXED
    rest = extract(HeadArrays(HeadAt(nphm, torch.from_numpy(identity))).field, extraction)
    for frame, code in zip(frames, codes, strict=True):
        assert np.array_equal(frame.mesh.faces, rest.faces)
        assert np.allclose(frame.mesh.vertices, at(nphm, identity, code).posed(rest.vertices), atol=1e-6)
    assert talker.openness(codes).shape == (3,)


def test_what_cannot_be_is_told(mono: HeadModel) -> None:
    identity, codes = walk(mono, 3)
    with pytest.raises(DataError, match="frame 7 is to be the reference"):
        list(Talker(mono, identity, Making(EXTRACTION, topology=FIXED, reference=7)).frames(codes))
    nowhere = replace(EXTRACTION, low=(2.0, 2.0, 2.0), high=(3.0, 3.0, 3.0))
    with pytest.raises(DataError, match=r"frame 0: .*no surface in the box"):
        list(Talker(mono, identity, Making(nowhere)).frames(codes))
    with pytest.raises(ValueError, match="at rest"):
        Talker(HeadModel.build(CanonicalSizes(**SMALL, hyper=0)), identity, Making(EXTRACTION))
