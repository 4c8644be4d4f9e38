"""Vertices in another order are told from a face that moves, on made and on real topologies."""

from __future__ import annotations

import numpy as np
import pytest

from faces.ply import Mesh, read_ply
from faces.vertex_order import Order, VertexOrder
from stages.preprocess.synthetic.cast import Cast, perform
from stages.preprocess.synthetic.head import neutral_head
from tests.assets import asset, needs_assets
from tests.faces.shapes import sphere

CAST = Cast(2, 2, 1.0, 0, 2e-5)


@pytest.fixture(scope="module")
def spoken() -> tuple[VertexOrder, np.ndarray]:
    subject = CAST.subject(1)
    template = CAST.subject(0).template.astype(np.float32)
    return VertexOrder(template, neutral_head().faces), perform(CAST, subject, 1, 1)[0]


def test_another_head_that_speaks_turned_and_in_another_unit_is_in_order(spoken) -> None:
    order, frames = spoken
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0].astype(np.float32)
    for frame in frames[::5]:
        assert order.of(frame).kind is Order.SAME
        assert order.of(1000 * frame @ turn + 50).kind is Order.SAME


def test_a_permutation_is_named_as_such(spoken) -> None:
    order, frames = spoken
    for seed in range(5):
        mixed = np.random.default_rng(seed).permutation(frames.shape[1])
        assert order.of(frames[7 * seed][mixed] * 100).kind is Order.PERMUTED


def test_an_order_by_place_and_a_block_that_moved_are_permutations(spoken) -> None:
    """As exporters do: sorted along an axis, materials first."""
    order, frames = spoken
    assert order.of(frames[0][np.argsort(frames[0][:, 1])]).kind is Order.PERMUTED
    assert order.of(np.roll(frames[0], 700, axis=0)).kind is Order.PERMUTED


def test_a_few_that_are_swapped_are_found(spoken) -> None:
    order, frames = spoken
    mixed = frames[3].copy()
    mixed[[100, 3000]] = mixed[[3000, 100]]
    verdict = order.of(mixed)
    assert (verdict.kind, verdict.vertices.tolist()) == (Order.SWAPPED, [100, 3000])


def test_another_surface_is_other(spoken) -> None:
    order, frames = spoken
    points = np.random.default_rng(0).standard_normal(frames[0].shape)
    assert order.of(points / np.linalg.norm(points, axis=1, keepdims=True)).kind is Order.OTHER
    assert order.of(np.zeros_like(frames[0])).kind is Order.OTHER


def test_a_sphere() -> None:
    mesh: Mesh = sphere(8)
    order = VertexOrder(mesh.vertices, mesh.faces)
    assert order.of(mesh.vertices * 3).kind is Order.SAME
    mixed = np.random.default_rng(1).permutation(len(mesh.vertices))
    assert order.of(mesh.vertices[mixed]).kind is Order.PERMUTED


@needs_assets
@pytest.mark.parametrize("name", ["FLAME_sample.ply", "BIWI.ply"])
def test_real_topologies(name) -> None:
    mesh = read_ply(asset(f"meshes/{name}"))
    order = VertexOrder(mesh.vertices, mesh.faces)
    wider = mesh.vertices * np.float32([1.1, 0.95, 1.0])
    assert order.of(wider).kind is Order.SAME
    for seed in range(3):
        mixed = np.random.default_rng(seed).permutation(len(wider))
        assert order.of(wider[mixed]).kind is Order.PERMUTED
