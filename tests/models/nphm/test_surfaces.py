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
from models.nphm.surfaces import FIXED, FREE, OPEN, REFERENCES, REST, WIDEST, Making, Talker

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


def known(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a head knows of the expressions that it was fitted to."""
    return codes.mean(0), codes.std(0)


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


@pytest.mark.parametrize("reference", REFERENCES)
def test_fixed_topology_is_near_the_surface(mono: HeadModel, reference: str) -> None:
    identity, codes = walk(mono)
    making = Making(EXTRACTION, topology=FIXED, reference=reference, spread=known(codes), tracking=Tracking(newton=4))
    talker = Talker(mono, identity, making)
    frames = list(talker.frames(codes))
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.number for frame in frames if frame.whole] == [0]
    for frame, code in zip(frames, codes, strict=True):
        assert np.array_equal(frame.mesh.faces, frames[0].mesh.faces)
        off = np.abs(at(mono, identity, code).field(frame.mesh.vertices))
        assert np.median(off) < 2e-4
        assert np.percentile(off, 95) < 2e-3
    moved = np.linalg.norm(frames[4].mesh.vertices - frames[0].mesh.vertices, axis=1)
    assert moved.max() > 5e-3


@pytest.mark.parametrize("reference", [OPEN, REST])
def test_a_head_has_one_mesh_whatever_it_says(mono: HeadModel, reference: str) -> None:
    identity, codes = walk(mono)
    making = Making(EXTRACTION, topology=FIXED, reference=reference, spread=known(codes))
    talker, other = (Talker(mono, identity, making) for _ in range(2))
    assert talker.one_mesh
    frames, again = list(talker.frames(codes)), list(other.frames(codes[::-2]))
    for mesh in (talker.rest, other.rest, *(frame.mesh for frame in again)):
        assert np.array_equal(mesh.faces, frames[0].mesh.faces)
    for number, frame in zip((4, 2, 0), again, strict=True):
        assert np.array_equal(frame.mesh.vertices, frames[number].mesh.vertices), "a mesh hangs on its code alone"
    off = np.abs(at(mono, identity, np.zeros_like(codes[0])).field(talker.rest.vertices))
    assert np.median(off) < 2e-3
    assert reference == OPEN or np.median(off) < 1e-5, "it was extracted there"
    assert not Talker(mono, identity, replace(making, reference=WIDEST)).one_mesh


def test_the_widest_mouth_is_extracted(mono: HeadModel) -> None:
    identity, codes = walk(mono)
    talker = Talker(mono, identity, Making(EXTRACTION, topology=FIXED, reference=WIDEST, tracking=Tracking(newton=0)))
    widest = int(talker.openness(codes).argmax())
    extracted = extract(at(mono, identity, codes[widest]).field, EXTRACTION)
    frame = list(talker.frames(codes))[widest]
    assert np.array_equal(frame.mesh.faces, extracted.faces)
    assert np.allclose(frame.mesh.vertices, extracted.vertices, atol=2e-6)


def test_an_open_mouth_is_open_as_far_as_known_codes_go(mono: HeadModel) -> None:
    identity, _ = walk(mono)
    mean, deviation = np.full(6, 0.1, np.float32), np.linspace(0.05, 0.3, 6, dtype=np.float32)
    talker = Talker(mono, identity, Making(EXTRACTION, topology=FIXED, spread=(mean, deviation)))
    code, _ = talker._head_alone
    assert np.isclose(np.linalg.norm((code - mean) / deviation), 2.5)
    others = np.random.default_rng(0).normal(size=(40, 6))
    others = mean + 2.5 * deviation * others / np.linalg.norm(others, axis=1, keepdims=True)
    opened, *rest = talker.openness(np.concatenate([code[None], others.astype(np.float32)]))
    assert opened >= np.percentile(rest, 95), "were it linear, none opened more"
    nobody = Talker(mono, identity, Making(EXTRACTION, topology=FIXED, spread=(0 * mean, 0 * mean)))
    assert np.isclose(np.linalg.norm(nobody._head_alone[0]), 1), "codes are no longer than that"


@pytest.mark.parametrize("kind", ["mono", "nphm"])
@pytest.mark.parametrize("topology", [FREE, FIXED])
def test_a_walk_goes_on_where_it_was_stopped(kind: str, topology: str, request: pytest.FixtureRequest) -> None:
    identity, codes = walk(request.getfixturevalue(kind), 7)
    search = "lipschitz" if kind == "mono" else "signs"
    making = Making(replace(EXTRACTION, refresh=3, search=search), topology=topology)
    whole = list(Talker(request.getfixturevalue(kind), identity, making).frames(codes))
    other = Talker(request.getfixturevalue(kind), identity, making)
    first = other.goes_on(5)
    assert first == (5 if other.topology == FIXED else 3)
    for before, now in zip(whole[first:], other.frames(codes, first), strict=True):
        assert np.array_equal(before.mesh.vertices, now.mesh.vertices)
        assert np.array_equal(before.mesh.faces, now.mesh.faces)
        told = [(one.number, one.asked, one.whole, one.unsolved) for one in (before, now)]
        assert told[0] == told[1]


@pytest.mark.parametrize("kind", ["mono", "nphm"])
@pytest.mark.parametrize("topology", [FREE, FIXED])
def test_the_throat_is_cut_off(kind: str, topology: str, request: pytest.FixtureRequest) -> None:
    identity, codes = walk(request.getfixturevalue(kind), 3)
    making = Making(replace(EXTRACTION, search="lipschitz" if kind == "mono" else "signs"), topology=topology)
    plane = np.array([[0, -0.2, 0.1], [0.1, -0.2, -0.1], [-0.1, -0.2, -0.1]], np.float32)
    whole, shorter = (
        list(Talker(request.getfixturevalue(kind), identity, one).frames(codes))
        for one in (making, replace(making, throat=plane))
    )
    for one, other in zip(whole, shorter, strict=True):
        assert one.mesh.vertices[:, 1].min() < -0.3
        assert other.mesh.vertices[:, 1].min() > -0.3
        assert one.mesh.vertices[:, 1].max() == pytest.approx(other.mesh.vertices[:, 1].max(), abs=1e-5)
        assert len(other.mesh.vertices) < len(one.mesh.vertices)


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
    above = np.array([[0, 2, 0.1], [0.1, 2, -0.1], [-0.1, 2, -0.1]], np.float32)
    with pytest.raises(DataError, match=r"frame 0: cutting leaves no triangle"):
        list(Talker(mono, identity, Making(EXTRACTION, throat=above)).frames(codes))
    nowhere = replace(EXTRACTION, low=(2.0, 2.0, 2.0), high=(3.0, 3.0, 3.0))
    with pytest.raises(DataError, match=r"frame 0: .*no surface in the box"):
        list(Talker(mono, identity, Making(nowhere)).frames(codes))
    with pytest.raises(ValueError, match="at rest"):
        Talker(HeadModel.build(CanonicalSizes(**SMALL, hyper=0)), identity, Making(EXTRACTION))
