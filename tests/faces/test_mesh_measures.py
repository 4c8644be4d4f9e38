"""Measures of surfaces by hand, against plain loops, and of meshes that are none."""

from __future__ import annotations

import numpy as np
import pytest

from faces.errors import DataError
from faces.mesh_measures import compare, drawn, vertex_chamfer
from faces.ply import Mesh
from tests.faces.shapes import SQUARE_FACES, sphere, square


def plate(z: float = 0.0, side: float = 1.0) -> Mesh:
    return Mesh(square(0, side, 0, side, z), SQUARE_FACES)


def test_parallel_plates_by_hand() -> None:
    """Two unit plates 0.3 apart: every point is that far from the other plate, whatever is drawn."""
    apart = compare(plate(), plate(0.3), samples=40_000, thresholds=(0.2, 0.31))
    for value in (apart.completeness, apart.accuracy, apart.chamfer_l1):
        assert value == pytest.approx(0.3, abs=1e-3)
    assert apart.chamfer_l2 == pytest.approx(0.09, abs=1e-3)
    assert apart.normal_consistency == pytest.approx(1)
    assert apart.fscore == {0.2: 0.0, 0.31: pytest.approx(1, abs=1e-3)}


def test_half_of_a_plate_is_accurate_but_not_complete() -> None:
    """The truth is two unit plates side by side, one was made: half is complete, the other half on average 0.5 away."""
    truth = Mesh(square(0, 2, 0, 1), SQUARE_FACES)
    apart = compare(truth, plate(), samples=40_000, thresholds=(0.05, 0.5))
    assert apart.accuracy < 0.01
    assert apart.completeness == pytest.approx(0.25, abs=0.01)
    assert apart.chamfer_l1 == (apart.completeness + apart.accuracy) / 2
    assert apart.chamfer_l2 == pytest.approx((1 / 3) / 2 / 2, abs=0.01)
    recall = 0.75
    assert apart.fscore[0.5] == pytest.approx(2 * recall / (1 + recall), abs=0.01)


def test_normals_count_whichever_way_they_point() -> None:
    turned = Mesh(plate().vertices, plate().faces[:, ::-1].copy())
    assert compare(plate(), turned, samples=2000).normal_consistency == pytest.approx(1)
    upright = Mesh(plate().vertices[:, [2, 0, 1]].copy(), plate().faces)
    assert compare(plate(), upright, samples=2000).normal_consistency == pytest.approx(0, abs=1e-9)


def test_the_unit_is_millimetres() -> None:
    metres = compare(plate(), plate(0.002), unit=1000.0, samples=5_000)
    assert metres.chamfer_l1 > 2
    assert metres.chamfer_l1 == pytest.approx(1000 * compare(plate(), plate(0.002), samples=5_000).chamfer_l1)
    assert metres.chamfer_l2 == pytest.approx(1e6 * compare(plate(), plate(0.002), samples=5_000).chamfer_l2)


def test_globes_of_two_sizes() -> None:
    apart = compare(sphere(40, 0.1), sphere(30, 0.11), unit=1000, samples=50_000)
    assert apart.chamfer_l1 == pytest.approx(10, abs=0.3)
    assert apart.normal_consistency > 0.99
    assert apart.fscore[1.0] == 0
    assert apart.fscore[5.0] == 0


def test_a_plain_loop() -> None:
    truth, made = sphere(5, 0.1), sphere(4, 0.12)
    apart = compare(truth, made, samples=60, seed=7, thresholds=(0.03,))
    a, na = drawn(truth, 60, np.random.default_rng([7, 0]))
    b, nb = drawn(made, 60, np.random.default_rng([7, 1]))
    ab = [min((float(np.linalg.norm(p - q)), j) for j, q in enumerate(b)) for p in a]
    ba = [min((float(np.linalg.norm(p - q)), j) for j, q in enumerate(a)) for p in b]
    complete, accurate = ([d for d, _ in found] for found in (ab, ba))
    assert apart.chamfer_l1 == pytest.approx(sum(complete) / 120 + sum(accurate) / 120)
    assert apart.chamfer_l2 == pytest.approx(sum(d * d for d in complete + accurate) / 120)
    dots = [abs(na[i] @ nb[j]) for i, (_, j) in enumerate(ab)] + [abs(nb[i] @ na[j]) for i, (_, j) in enumerate(ba)]
    assert apart.normal_consistency == pytest.approx(sum(dots) / 120)
    p, r = (sum(d < 0.03 for d in found) / 60 for found in (accurate, complete))
    assert apart.fscore[0.03] == pytest.approx(2 * p * r / (p + r))


def test_points_are_even_over_the_area_not_over_triangles() -> None:
    """A large and a tiny triangle: nearly all points are on the large one, and its centre of mass is theirs."""
    vertices = np.array([[0, 0, 0], [3, 0, 0], [0, 3, 0], [9, 9, 0], [9.03, 9, 0], [9, 9.03, 0]], np.float32)
    points, normals = drawn(
        Mesh(vertices, np.array([[0, 1, 2], [3, 4, 5]], np.int32)), 20_000, np.random.default_rng(0)
    )
    large = points[:, 0] < 5
    assert 0 < (~large).sum() < 10
    np.testing.assert_allclose(points[large].mean(axis=0), [1, 1, 0], atol=0.02)
    assert (points[large, :2].sum(axis=1) <= 3 + 1e-9).all()
    np.testing.assert_array_equal(normals, [[0, 0, 1]] * 20_000)


def test_equal_seeds_give_equal_numbers() -> None:
    some = [compare(sphere(6), sphere(7), samples=500, seed=seed) for seed in (0, 0, 1)]
    assert some[0] == some[1]
    assert some[0] != some[2]


def test_the_two_meshes_are_drawn_from_independently() -> None:
    """Else equal meshes would be 0 apart however few points are drawn."""
    assert compare(sphere(6), sphere(6), samples=500).chamfer_l1 > 1e-3


def test_between_vertices_there_is_no_floor() -> None:
    ball = sphere(12)
    assert vertex_chamfer(ball, ball) == 0
    moved = Mesh(ball.vertices + np.float32([0, 1e-4, 0]), ball.faces)
    assert vertex_chamfer(ball, moved) == pytest.approx(1e-4, rel=1e-2)
    more = Mesh(np.concatenate([plate().vertices, [[0, 0, 3]]]).astype(np.float32), SQUARE_FACES)
    assert vertex_chamfer(plate(), more) == pytest.approx(3 / 5 / 2)
    with pytest.raises(DataError, match="the second mesh has no triangles"):
        vertex_chamfer(ball, Mesh(ball.vertices, NOTHING))


NOTHING = np.zeros((0, 3), np.int32)


@pytest.mark.parametrize(
    ("mesh", "said"),
    [
        (Mesh(plate().vertices, NOTHING), "has no triangles"),
        (Mesh(np.zeros((0, 3), np.float32), NOTHING), "has no triangles"),
        (Mesh(np.zeros((4, 3), np.float32), SQUARE_FACES), "has no area: all its 2 triangles"),
        (Mesh(plate().vertices * np.float32(np.nan), SQUARE_FACES), "4 of 4 vertices of .* NaN"),
        (Mesh(plate().vertices, SQUARE_FACES + 1), "does not have: it has 4"),
        (Mesh(plate().vertices, SQUARE_FACES - 1), "does not have: it has 4"),
        (Mesh(plate().vertices[:, :2], SQUARE_FACES), r"\(V, 3\) vertices"),
    ],
)
def test_meshes_that_cannot_be_measured(mesh: Mesh, said: str) -> None:
    with pytest.raises(DataError, match=said) as told:
        compare(mesh, plate(), samples=10)
    assert "the true mesh" in str(told.value)
    with pytest.raises(DataError, match="the made mesh"):
        compare(plate(), mesh, samples=10)


def test_triangles_without_area_are_never_drawn() -> None:
    mesh = Mesh(plate().vertices, np.concatenate([SQUARE_FACES, [[0, 0, 0], [1, 1, 2]]]).astype(np.int32))
    _, normals = drawn(mesh, 5000, np.random.default_rng(0))
    np.testing.assert_array_equal(normals, [[0, 0, 1]] * 5000)


@pytest.mark.parametrize("choice", [{"unit": 0.0}, {"unit": float("nan")}, {"samples": 0}])
def test_choices_that_cannot_be(choice: dict) -> None:
    with pytest.raises(DataError, match="must be"):
        compare(plate(), plate(), **choice)
