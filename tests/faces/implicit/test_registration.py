"""A template laid onto a surface: similarity, drawing, and what has no surface to be drawn to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from faces.errors import DataError
from faces.implicit.newton import onto
from faces.implicit.registration import Landmarks, Registration, register, similarity
from faces.normals import face_normals, vertex_normals
from faces.ply import Mesh
from tests.faces.implicit.fields import ball, ellipsoid
from tests.faces.implicit.test_tracking import slope_of
from tests.faces.shapes import sphere

HEAD = ellipsoid((0, 0.1, -0.3), (0.33, 0.42, 0.38))
SLOPE = slope_of(HEAD)


def turned(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def placed(mesh: Mesh, scale: float = 1.0) -> Mesh:
    return Mesh((scale * mesh.vertices + np.float32([0.02, 0.08, -0.28])).astype(np.float32), mesh.faces)


def test_a_globe_becomes_the_head() -> None:
    template = placed(sphere(20, 0.35))
    laid = register(template, SLOPE)
    np.testing.assert_array_equal(laid.faces, template.faces)
    assert laid.on_surface.all()
    assert np.abs(HEAD(laid.vertices)).max() < 1e-4
    normals = face_normals(laid.vertices, laid.faces)
    before = face_normals(template.vertices, template.faces)
    assert (np.einsum("ij,ij->i", normals, before) > 0).all(), "no triangle is turned over"
    sizes = np.linalg.norm(normals, axis=1) / np.linalg.norm(before, axis=1)
    assert 0.4 < sizes.min() <= sizes.max() < 2.5, "none is crushed"


def test_landmarks_bring_units_and_place() -> None:
    """A template a tenth of the size, turned by a quarter, somewhere else."""
    globe = placed(sphere(20, 0.35))
    foreign = Mesh((0.1 * globe.vertices @ turned(1.5).T + [3, -2, 1]).astype(np.float32), globe.faces)
    with pytest.raises(DataError, match="no vertex of the template is within"):
        register(foreign, SLOPE)
    chosen = np.array([5, 300, 610, 81, 444])
    laid = register(foreign, SLOPE, landmarks=Landmarks(chosen, globe.vertices[chosen]))
    assert np.abs(HEAD(laid.vertices)).max() < 1e-4
    assert np.linalg.norm(laid.vertices - register(globe, SLOPE).vertices, axis=1).mean() < 0.03


def test_landmarks_pull_along_the_surface() -> None:
    template = placed(sphere(20, 0.35))
    laid = register(template, SLOPE)
    chosen = np.array([410, 100, 333, 600])
    places = laid.vertices[chosen].astype(np.float64)
    places[0] += [0.04, 0, 0]
    places[:1] = onto(SLOPE, places[:1], 5, 0.1, 100)
    before = np.linalg.norm(laid.vertices[410] - places[0])
    pulled = register(template, SLOPE, Registration(landmarks=50.0), Landmarks(chosen, places))
    assert np.linalg.norm(pulled.vertices[410] - places[0]) < 0.4 * before


def test_what_has_no_surface_near_is_carried_along() -> None:
    """A ball inside the head is not drawn to its skin; a template's end far from it follows its neighbours."""
    skin, eye = placed(sphere(16, 0.3)), placed(sphere(6, 0.05))
    eye.vertices[:, 0] += 0.1
    both = Mesh(
        np.concatenate([skin.vertices, eye.vertices]), np.concatenate([skin.faces, eye.faces + len(skin.vertices)])
    )
    laid = register(both, slope_of(ball((0, 0.1, -0.3), 0.34)))
    count = len(skin.vertices)
    assert laid.on_surface[:count].all()
    assert not laid.on_surface[count:].any()
    radius = np.linalg.norm(laid.vertices[count:] - laid.vertices[count:].mean(axis=0), axis=1)
    np.testing.assert_allclose(radius, 0.05, atol=3e-3)


def test_a_template_inside_out_is_not_drawn() -> None:
    globe = placed(sphere(10, 0.35))
    with pytest.raises(DataError, match="faces its way"):
        register(Mesh(globe.vertices, globe.faces[:, ::-1].copy()), SLOPE)


def test_the_mesh_stays_smooth() -> None:
    """Neighbouring normals differ little more than those of the template do."""
    template = placed(sphere(20, 0.35))
    laid = register(template, SLOPE)
    edges = template.faces[:, :2]
    bends = [
        np.einsum("ij,ij->i", *(vertex_normals(m.vertices, m.faces)[edges[:, k]] for k in range(2))).min()
        for m in (template, laid)
    ]
    assert bends[1] > bends[0] - 0.1


def test_similarity_is_found_and_never_mirrors() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(9, 3))
    scale, turn, shift = similarity(points, 2.5 * points @ turned(0.7).T + [1, 2, 3])
    assert scale == pytest.approx(2.5)
    np.testing.assert_allclose(turn, turned(0.7), atol=1e-12)
    np.testing.assert_allclose(shift, [1, 2, 3])
    _, mirrored, _ = similarity(points, points * [-1, 1, 1])
    assert np.linalg.det(mirrored) == pytest.approx(1)
    assert similarity(points, 2 * points, scaled=False)[0] == 1


@pytest.mark.parametrize("points", [np.zeros((2, 3)), np.zeros((5, 3)), np.outer(np.arange(5), [1.0, 2, 3])])
def test_points_that_do_not_say_how_to_turn(points: np.ndarray) -> None:
    with pytest.raises(DataError, match="how a mesh is turned"):
        similarity(points, points)


@pytest.mark.parametrize("choice", [{"rounds": 0}, {"stiffness": ()}, {"stiffness": (1.0, 0.0)}, {"facing": 2.0}])
def test_choices_that_cannot_be(choice: dict) -> None:
    with pytest.raises(DataError, match="must be"):
        register(sphere(4), SLOPE, replace(Registration(), **choice))


@pytest.mark.parametrize(
    ("vertices", "places", "said"),
    [
        (np.array([0, 99999]), np.zeros((2, 3)), "names? vertex 99999"),
        (np.array([0, 1]), np.zeros((3, 3)), r"\(L, 3\) places"),
        (np.array([0, 1]), np.full((2, 3), np.nan), "NaN or infinite"),
    ],
)
def test_landmarks_that_cannot_be(vertices: np.ndarray, places: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=said):
        register(sphere(4), SLOPE, landmarks=Landmarks(vertices, places))
