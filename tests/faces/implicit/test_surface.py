"""Extracted surfaces: where they lie, which way they face, and that every search gives the dense one to the bit."""

from __future__ import annotations

import sys
from dataclasses import replace
from subprocess import run

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as some

from faces.errors import DataError
from faces.implicit.grid import Grid
from faces.implicit.settings import Extraction
from faces.implicit.surface import extract, march, sample_all
from faces.normals import face_normals
from tests.faces.implicit.fields import (
    ball,
    dense,
    either,
    ellipsoid,
    equal,
    not_a_distance,
    sheet,
    talker,
)

SMALL = Extraction(resolution=40)
SEARCHES = ["dense", "lipschitz", "signs"]


@pytest.mark.parametrize("search", SEARCHES)
def test_a_ball_lies_where_it_should_and_faces_outward(search: str) -> None:
    centre = np.array([0.1, 0.05, -0.3])
    mesh = extract(ball(centre), replace(SMALL, search=search))
    distances = np.linalg.norm(mesh.vertices - centre, axis=1)
    assert np.abs(distances - 0.3).max() < 1e-3
    normals, corners = face_normals(mesh.vertices, mesh.faces), mesh.vertices[mesh.faces]
    assert (np.einsum("ij,ij->i", normals, corners.mean(axis=1) - centre) >= 0).all()
    volume = np.linalg.det(corners.astype(np.float64) - centre).sum() / 6
    assert volume == pytest.approx(4 / 3 * np.pi * 0.3**3, rel=0.01)
    assert (mesh.vertices.dtype, mesh.faces.dtype) == (np.float32, np.int32)


def test_a_closed_surface_has_every_edge_twice() -> None:
    faces = extract(talker(), replace(SMALL, resolution=30)).faces
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    once = {tuple(edge) for edge in edges.tolist()}
    assert len(once) == len(edges)
    assert once == {(b, a) for a, b in once}


def test_the_box_leaves_it_open() -> None:
    """A ball whose middle is on the box's floor is half a ball."""
    mesh = extract(ball((0, -0.5, -0.3), 0.2), SMALL)
    assert mesh.vertices[:, 1].min() >= -0.5
    assert np.isclose(mesh.vertices[:, 1], -0.5).sum() > 10


def test_axes_have_samples_of_their_own() -> None:
    settings = Extraction(resolution=3, low=(0, 10, 100), high=(1, 14, 116))
    grid = Grid(settings)
    np.testing.assert_array_equal(grid.spacing, [0.5, 2, 8])
    np.testing.assert_array_equal(grid.points(np.array([0, 1, 3, 9, 26])),
                                  [[0, 10, 100], [0, 10, 108], [0, 12, 100], [0.5, 10, 100], [1, 14, 116]])  # fmt: skip
    values = sample_all(lambda points: points[:, 0] - np.float32(0.3), settings)
    np.testing.assert_allclose(march(values, grid).vertices[:, 0], 0.3, atol=1e-6)


FIELDS = {
    "ball": ball((0.02, 0.1, -0.2)),
    "talker": talker(),
    "two that touch": either(ball((-0.2, 0, -0.3), 0.2), ball((0.2, 0, -0.3), 0.2)),
    "two apart": either(ball((-0.25, 0, -0.3), 0.2), ball((0.25, 0, -0.3), 0.2)),
    "sheet": sheet(0.08),
    "cut by the box": ball((0.5, 0.7, 0.3), 0.4),
}


@pytest.mark.parametrize("resolution", [23, 33, 64])
@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("name", FIELDS)
def test_every_search_gives_the_dense_surface(name: str, search: str, resolution: int) -> None:
    settings = Extraction(resolution=resolution, search=search)
    mesh = extract(FIELDS[name], settings)
    assert equal(mesh, dense(FIELDS[name], settings))
    assert mesh.effort.samples == resolution**3
    assert mesh.effort.evaluations <= resolution**3


def test_fewer_samples_are_evaluated() -> None:
    """On a head of the size of the box; the counts are the field's own."""
    counted: list[int] = []

    def field(points: np.ndarray) -> np.ndarray:
        counted.append(len(points))
        return np.asarray(talker()(points))

    ratios = {}
    for search in SEARCHES:
        counted.clear()
        mesh = extract(field, Extraction(resolution=64, search=search))
        assert mesh.effort.evaluations == sum(counted)
        assert max(counted) <= Extraction().chunk
        ratios[search] = mesh.effort.ratio
    assert ratios["dense"] == 1
    assert ratios["lipschitz"] > 8
    assert ratios["signs"] > 8


@tried(max_examples=60, deadline=None)
@given(
    some.lists(some.tuples(*[some.floats(-0.4, 0.4)] * 3, some.floats(0.01, 0.3)), min_size=1, max_size=5),
    some.integers(9, 30),
    some.sampled_from([2, 4, 16]),
)
def test_by_distance_nothing_is_missed(balls: list[tuple[float, ...]], resolution: int, coarsest: int) -> None:
    """However small the pieces: any that the dense form sees at all."""
    field = either(*[ball((x, y, z), radius) for x, y, z, radius in balls])
    settings = Extraction(resolution=resolution, coarsest=coarsest, lipschitz=1.001)
    try:
        expected = dense(field, settings)
    except DataError:
        with pytest.raises(DataError, match="no surface"):
            extract(field, settings)
        return
    assert equal(extract(field, settings), expected)


@pytest.mark.parametrize("place", [(1, 1, 1), (15, 1, 15), (17, 31, 31), (8, 1, 9), (3, 5, 15), (30, 30, 31)])
def test_one_sample_inside_is_found_in_any_corner_of_a_block(place: tuple[int, int, int]) -> None:
    """As far from the middle of its block as a distance of constant 1 allows for."""
    settings = Extraction(resolution=33, low=(0, 0, 0), high=(32, 32, 32), lipschitz=1.0)
    field = ball(place, 0.3)
    found = extract(field, settings)
    assert len(found.vertices) == 6
    assert equal(found, dense(field, settings))
    assert found.effort.ratio > 20


@tried(max_examples=30, deadline=None)
@given(some.integers(0, 2**32 - 1), some.integers(5, 14), some.booleans())
def test_by_sign_what_is_found_is_whole(seed: int, resolution: int, whole: bool) -> None:
    """Noise: what is found is a part of the dense surface that ends only where that ends. Exact zeros occur."""
    noise = np.random.default_rng(seed).normal(size=(resolution,) * 3).astype(np.float32)
    noise = np.round(noise) if whole else noise
    settings = Extraction(resolution=resolution, low=(0, 0, 0), high=(resolution - 1,) * 3, search="signs", stride=4)

    def field(points: np.ndarray) -> np.ndarray:
        return np.asarray(noise[tuple(np.rint(points).astype(int).T)])

    expected, found = dense(field, settings), extract(field, settings)
    rows = {tuple(corner) for corner in expected.vertices[expected.faces].reshape(-1, 9).tolist()}
    assert {tuple(corner) for corner in found.vertices[found.faces].reshape(-1, 9).tolist()} <= rows
    assert boundary(found.vertices, found.faces) <= boundary(expected.vertices, expected.faces)


def boundary(vertices: np.ndarray, faces: np.ndarray) -> set[tuple[float, ...]]:
    """Edges, by position, that belong to one triangle only."""
    edges = vertices[np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])].reshape(-1, 6)
    once = {tuple(edge) for edge in edges.tolist()}
    return {edge for edge in once if (*edge[3:], *edge[:3]) not in once}


def test_a_field_that_is_no_distance_needs_signs() -> None:
    field = not_a_distance(talker())
    settings = Extraction(resolution=48, search="signs")
    assert equal(extract(field, settings), dense(field, settings))


def test_a_piece_between_the_samples_is_seen_with_an_anchor() -> None:
    """What the margin and anchors are for: a small ball far from the large one."""
    small = np.array([[0.41, 0.6, 0.29]])
    field = either(ball((-0.3, -0.2, -0.6), 0.15), ball(small[0], 0.06))
    settings = Extraction(resolution=64, search="signs", stride=16)
    expected = dense(field, settings)
    assert len(extract(field, settings).vertices) < len(expected.vertices)
    assert equal(extract(field, replace(settings, reach=0.1), small), expected)
    assert equal(extract(field, replace(settings, stride=4)), expected)


def test_a_surface_between_all_samples_of_the_first_grid_is_found() -> None:
    field = ball((-0.05, 0.1, -0.3), 0.1)
    settings = Extraction(resolution=33, search="signs", stride=16)
    surface = extract(field, settings)
    assert equal(surface, dense(field, settings))
    assert surface.effort.ratio > 3


def test_the_margin_sees_what_is_beside_the_surface() -> None:
    field = either(ball((0, 0, -0.3), 0.3), ball((0.009, 0.61, -0.264), 0.045))
    settings = Extraction(resolution=64, search="signs", stride=16)
    expected = dense(field, settings)
    assert len(extract(field, replace(settings, margin=0)).vertices) < len(expected.vertices)
    assert equal(extract(field, settings), expected)


def test_a_constant_that_is_too_small_cuts_no_surface() -> None:
    """The rim is followed: from where the surface was met all of it is found."""
    field = ellipsoid((0, 0.1, -0.25), (0.3, 0.3, 0.3))
    steep = lambda points: 3 * field(points)  # noqa: E731
    settings = Extraction(resolution=48, lipschitz=1.0)
    assert equal(extract(steep, settings), dense(steep, settings))


def test_a_surface_that_no_block_may_hold() -> None:
    """The constant is a hundred times too small, so that the sample amid the ball seems to be far inside."""
    field = ball((-0.275, -0.1875, -0.6125), 0.2)
    with pytest.raises(DataError, match="faster than the search allows"):
        extract(lambda points: 100 * field(points), Extraction(resolution=33))


@pytest.mark.parametrize("search", SEARCHES)
def test_no_surface(search: str) -> None:
    settings = replace(SMALL, search=search)
    with pytest.raises(DataError, match=r"no surface in the box.*is positive at all"):
        extract(ball((5, 5, 5)), settings)
    with pytest.raises(DataError, match=r"no surface in the box.*not positive at all"):
        extract(ball(radius=9), settings)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("search", SEARCHES)
def test_a_field_that_is_no_number_is_told(search: str, bad: float) -> None:
    def field(points: np.ndarray) -> np.ndarray:
        return np.where(points[:, 0] > 0.1, np.float32(bad), np.asarray(ball()(points)))

    with pytest.raises(DataError, match=r"NaN or infinite at \d+ of \d+ points, the first is \(0\.1"):
        extract(field, replace(SMALL, search=search))


def test_a_grid_that_holds_no_number_is_told() -> None:
    values = sample_all(ball(), SMALL)
    values[3, 4, 5] = np.nan
    with pytest.raises(DataError, match="NaN or infinite at 1 of 64000 samples"):
        march(values, Grid(SMALL))


def test_a_field_of_the_wrong_shape_is_told() -> None:
    with pytest.raises(ValueError, match=r"must give \(\d+,\) values"):
        extract(lambda points: points, SMALL)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"resolution": 1}, "resolution is 1"),
        ({"low": (0.0, 0.0, 0.4)}, "is empty"),
        ({"low": (0.0, 0.0, float("nan"))}, "is empty"),
        ({"coarsest": 12}, "power of two"),
        ({"stride": 1}, "power of two"),
        ({"lipschitz": 0.0}, "above 0"),
        ({"reach": -1.0}, "must not be negative"),
        ({"search": "magic"}, "known are dense, lipschitz, signs"),
        ({"rim": "magic"}, "known are extend, refresh"),
        ({"chunk": 0}, "chunk is 0"),
        ({"band": 0}, "band is 0"),
    ],
)
def test_choices_that_cannot_be(choice: dict, said: str) -> None:
    with pytest.raises(DataError, match=said):
        extract(ball(), replace(SMALL, **choice))


def test_defaults_have_no_problems() -> None:
    assert Extraction().problems() == []


def test_settings_are_light_to_import() -> None:
    """Planning reads them; scikit-image and Numba take a second."""
    code = "import sys, faces.implicit.settings; print([m for m in ('numba', 'skimage', 'scipy') if m in sys.modules])"
    assert run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
