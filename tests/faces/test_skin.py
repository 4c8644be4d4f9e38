"""Points about a mesh: their distances are those of the solid, where they are said to be known."""

from __future__ import annotations

import numpy as np
import pytest

from faces.normals import face_normals
from faces.skin import Skin, pieces
from tests.faces.shapes import sphere

RADIUS = 0.1


def ball(radius: float = RADIUS, rings: int = 24) -> tuple[np.ndarray, np.ndarray]:
    mesh = sphere(rings)
    points = mesh.vertices / np.linalg.norm(mesh.vertices, axis=1, keepdims=True) * radius
    return points.astype(np.float64), mesh.faces


def two(inner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A ball, and a small one whose points are given."""
    points, faces = ball()
    return np.concatenate([points, inner]), np.concatenate([faces, sphere(8).faces + len(points)])


def small(radius: float, height: float) -> np.ndarray:
    return ball(radius, 8)[0] + [0.0, height, 0.0]


def test_known_distances_are_those_of_the_solid() -> None:
    points, faces = ball()
    found = Skin.of(points, faces).about(points, points, 3000, np.random.default_rng(0), spread=0.01)
    true = np.linalg.norm(found.points, axis=1) - RADIUS
    wrong = np.abs(true - found.distances)[found.known]
    assert found.known.mean() > 0.9
    assert wrong.max() < 2e-3
    assert found.distances[found.known].min() < -0.02
    assert (found.away == (np.arange(3000) >= 2500)).all()


def test_a_point_beyond_another_part_is_not_known() -> None:
    """Two sheets a hundredth apart: what is moved farther along one's normal is nearer to the other."""
    gap = 0.01
    flat, faces = ball()
    sheets = np.concatenate([flat, flat * (1 - gap / RADIUS)])
    both = np.concatenate([faces, faces[:, ::-1] + len(flat)])
    skin = Skin(both, np.ones(len(both), bool), np.zeros(len(both), bool), np.ones(len(both)))
    found = skin.about(sheets, sheets, 4000, np.random.default_rng(0), spread=0.02)
    inward = (found.distances < -0.75 * gap) & ~found.away
    assert inward.sum() > 100
    assert found.known[inward].mean() < 0.02


def test_places_at_rest_are_the_same_places() -> None:
    points, faces = ball()
    higher = points + np.array([0.0, 0.3, 0.0])
    found = Skin.of(points, faces).about(higher, points, 600, np.random.default_rng(0), spread=0.01)
    moved = (found.points - found.rest)[found.followed]
    assert np.allclose(moved, [0.0, 0.3, 0.0], atol=1e-6)
    assert not found.followed[found.away].any()


def test_what_lies_inside_is_no_skin() -> None:
    inside, _ = two(small(0.03, 0.0))
    points, faces = two(small(0.03, 0.0))
    skin = Skin.of(points, faces)
    assert skin.outer[: len(ball()[1])].all()
    assert not skin.outer[len(ball()[1]) :].any()
    assert len(inside) == pieces(len(points), faces).size


def test_what_looks_out_is_skin() -> None:
    points, faces = two(small(0.03, 0.4))
    assert Skin.of(points, faces).outer[len(ball()[1]) :].mean() > 0.5


def test_the_widest_border_is_the_cut() -> None:
    points, faces = ball()
    centre = points[faces].mean(axis=1)
    low, hole = centre[:, 1] < -0.07, (centre[:, 1] > 0.095)
    skin = Skin.of(points, faces[~low & ~hole])
    heights = points[skin.faces[skin.cut]].mean(axis=1)[:, 1]
    assert skin.cut.any()
    assert (heights < 0).all()
    found = skin.about(points, points, 3000, np.random.default_rng(0), spread=0.01)
    below = (np.hypot(*found.points[:, ::2].T) < 0.04) & (found.points[:, 1] < -0.06)
    assert below.sum() > 3
    assert not found.known[below].any()


def test_interest_draws_more_points() -> None:
    points, faces = ball()
    wanted = np.where(points[:, 1] > 0.05, 20.0, 1.0)
    skin = Skin.of(points, faces, wanted)
    areas = np.linalg.norm(face_normals(points, faces), axis=1)
    upper = (wanted[faces] > 1).any(axis=1)
    share = upper[skin.draw(points, 4000, np.random.default_rng(0)).triangles].mean()
    expected = 20 * areas[upper].sum() / (20 * areas[upper].sum() + areas[~upper].sum())
    assert share == pytest.approx(expected, abs=0.03)
