"""Followed vertices: they stay on the surface and at their canonical places, in one topology."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from faces.errors import DataError
from faces.implicit.laplacian import averaging
from faces.implicit.newton import onto
from faces.implicit.settings import Extraction
from faces.implicit.solve import Warp
from faces.implicit.surface import extract
from faces.implicit.tracking import Tracker, Tracking
from faces.ply import Mesh
from tests.faces.implicit.fields import ellipsoid
from tests.faces.shapes import sphere

HEAD = ellipsoid((0, 0.1, -0.3), (0.36, 0.42, 0.45))
SETTINGS = Extraction(resolution=40)
VOXEL = 1.1 / 39


def jaw(amount: float) -> Warp:
    """From a head whose jaw is down back to one whose is not, with hyper coordinates that open nothing."""

    def warp(points: np.ndarray) -> np.ndarray:
        near = np.exp(-np.square(points - np.float32([0, -0.2, 0])).sum(axis=1, keepdims=True) / 0.08)
        lifted = points + np.float32(amount) * near * np.float32([0.1, 1, 0.2])
        return np.concatenate([lifted, near, near], axis=1).astype(np.float32)

    return warp


def posed(warp: Warp):
    return lambda points: HEAD(np.asarray(warp(points)[:, :3], np.float32))


def slope_of(field):
    """Values and gradients by central differences."""

    def slope(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        step = np.float32(2e-3)
        sides = [
            (field(points + step * axis) - field(points - step * axis)) / (2 * step) for axis in np.eye(3, dtype="f4")
        ]
        return field(points), np.stack(sides, axis=1)

    return slope


def test_a_frame_is_followed() -> None:
    reference = extract(posed(jaw(0.06)), SETTINGS)
    tracker = Tracker.of_frame(reference, jaw(0.06))
    places = jaw(0.06)(reference.vertices)[:, :3]
    for amount in (0.06, 0.05, 0.02, 0.0, -0.02):
        warp = jaw(amount)
        frame = tracker.frame(warp)
        np.testing.assert_array_equal(frame.faces, reference.faces)
        assert frame.unsolved == 0
        np.testing.assert_allclose(warp(frame.vertices)[:, :3], places, atol=2e-6)
        if amount == 0.06:
            np.testing.assert_allclose(frame.vertices, reference.vertices, atol=2e-6)


def test_a_frame_by_way_of_others_hangs_on_none_before() -> None:
    reference = extract(posed(jaw(0.06)), SETTINGS)
    tracker, other = (Tracker.of_frame(reference, jaw(0.06)) for _ in range(2))
    places = jaw(0.06)(reference.vertices)[:, :3]
    tracker.frame(jaw(-0.02))
    found = []
    for one in (tracker, other):
        one.start()
        assert one.pass_by(jaw(0.03)) < 3 * len(places), "as near as is needed"
        found.append(one.frame(jaw(0.0)))
    np.testing.assert_array_equal(found[0].vertices, found[1].vertices)
    np.testing.assert_allclose(jaw(0.0)(found[0].vertices)[:, :3], places, atol=2e-6)


def test_vertices_that_lost_their_way_are_put_right() -> None:
    reference = extract(posed(jaw(0.06)), SETTINGS)
    places, warp = jaw(0.06)(reference.vertices)[:, :3], jaw(0.0)
    seen = list[np.ndarray]()

    def lead(ways: np.ndarray, seek: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        seen.append(ways)
        led = ways.copy()
        led[[3, 5]] = seek(np.array([3, 5]), ways[[3, 5]] + 0.02)
        led[7] = ways[7] + [0.1, 0, 0]  # where it does not belong
        return led

    plain, led = (Tracker.of_frame(reference, jaw(0.06)).frame(warp, lead=one) for one in (None, lead))
    np.testing.assert_allclose(reference.vertices + seen[0], plain.vertices, atol=1e-6)
    np.testing.assert_allclose(warp(led.vertices[[3, 5]])[:, :3], places[[3, 5]], atol=3e-6)
    np.testing.assert_allclose(led.vertices[7] - plain.vertices[7], [0.1, 0, 0], atol=1e-6)
    assert (plain.unsolved, led.unsolved) == (0, 1)
    assert led.apart[7] > 0.05
    assert led.evaluations > plain.evaluations


def test_a_followed_frame_is_the_extracted_one() -> None:
    """After a Newton step, within a tenth of a voxel both ways, though the reference was cut by another grid."""
    tracker = Tracker.of_frame(extract(posed(jaw(0.06)), SETTINGS), jaw(0.06))
    for amount in (0.03, 0.0):
        field = posed(jaw(amount))
        frame = tracker.frame(jaw(amount), slope_of(field))
        assert np.abs(field(frame.vertices)).max() < 2e-5
        extracted = extract(field, replace(SETTINGS, resolution=80))
        assert cKDTree(extracted.vertices).query(frame.vertices)[0].mean() < 0.5 * VOXEL
        assert cKDTree(frame.vertices).query(extracted.vertices)[0].mean() < 0.6 * VOXEL


def test_newton_takes_back_what_slid_off() -> None:
    """Solutions that are off by a little, as where hyper coordinates change: a step puts them on, and no further."""
    field = posed(jaw(0.0))
    reference = extract(field, SETTINGS)
    off = reference.vertices + np.float32(0.004)
    moved = onto(slope_of(field), off.astype(np.float64), 1, 0.01, 1000)
    before, after = (np.abs(field(points.astype(np.float32))) for points in (off, moved))
    assert before.max() > 5e-3
    assert after.max() < 2e-4
    assert np.linalg.norm(moved - off, axis=1).max() < 0.01
    capped = onto(slope_of(field), off.astype(np.float64), 1, 0.001, 1000)
    assert np.linalg.norm(capped - off, axis=1).max() <= 0.001 * (1 + 1e-9)


def test_where_there_is_no_slope_nothing_moves() -> None:
    def flat(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.ones(len(points)), np.zeros((len(points), 3))

    points = np.ones((3, 3))
    np.testing.assert_array_equal(onto(flat, points, 2, 0.1, 100), points)


def test_only_vertices_of_the_surface_are_put_onto_it() -> None:
    """An eyeball of a template is not drawn to the skin."""
    skin, eye = sphere(6, 0.3), sphere(4, 0.05)
    both = Mesh(
        np.concatenate([skin.vertices, eye.vertices]), np.concatenate([skin.faces, eye.faces + len(skin.vertices)])
    )
    on = np.arange(len(both.vertices)) < len(skin.vertices)

    def slope(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        away = np.linalg.norm(points, axis=1, keepdims=True)
        return away[:, 0] - 0.305, points / away

    still: Warp = lambda points: points  # noqa: E731
    frame = Tracker(both, on_surface=on).frame(still, slope)
    np.testing.assert_allclose(np.linalg.norm(frame.vertices[on], axis=1), 0.305, atol=1e-6)
    np.testing.assert_allclose(frame.vertices[~on], eye.vertices, atol=1e-7)


def test_smoothing_evens_out_the_displacement_and_keeps_a_shift() -> None:
    reference = sphere(12, 0.3)
    shift: Warp = lambda points: points - np.float32([0.01, 0, 0])  # noqa: E731
    frame = Tracker(reference, Tracking(smoothing=0.3)).frame(shift)
    np.testing.assert_allclose(frame.vertices - reference.vertices, [[0.01, 0, 0]] * len(reference.vertices), atol=1e-6)

    def rough(points: np.ndarray) -> np.ndarray:
        return points + np.float32(0.004) * np.sin(150 * points[:, [1, 2, 0]])

    plain, smooth = (Tracker(reference, Tracking(smoothing=share)).frame(rough) for share in (0.0, 0.3))
    mean = averaging(reference.faces, len(reference.vertices))
    bumps = [
        np.square(moved - mean @ moved).sum() for moved in (f.vertices - reference.vertices for f in (plain, smooth))
    ]
    assert bumps[1] < 0.8 * bumps[0]


def test_smoothing_does_not_add_up_over_frames() -> None:
    """The next frame starts from the solution, not from what was smoothed."""
    reference, warp = sphere(8, 0.3), jaw(0.02)
    tracker = Tracker(reference, Tracking(smoothing=0.3))
    first, second = tracker.frame(warp), tracker.frame(warp)
    np.testing.assert_allclose(second.vertices, first.vertices, atol=1e-6)


def test_vertices_that_cannot_be_solved_are_counted() -> None:
    reference = sphere(8, 0.3)

    def torn(points: np.ndarray) -> np.ndarray:
        return np.where(points[:, :1] > 0.2, points + np.float32([5, 0, 0]), points)

    frame = Tracker(reference).frame(torn)
    right = reference.vertices[:, 0] > 0.2
    assert 0 < frame.unsolved <= right.sum()
    assert frame.unsolved == (frame.apart > 1e-6).sum()
    np.testing.assert_allclose(frame.vertices[~right], reference.vertices[~right], atol=1e-6)
    assert np.isfinite(frame.vertices).all()


def test_averaging_by_hand() -> None:
    """Two triangles that share an edge, and a vertex of neither."""
    mean = averaging(np.array([[0, 1, 2], [2, 1, 3]]), 5) @ np.array([1.0, 2, 4, 8, 7])
    np.testing.assert_allclose(mean, [3, (1 + 4 + 8) / 3, (1 + 2 + 8) / 3, 3, 7])


@pytest.mark.parametrize("choice", [{"newton": -1}, {"largest": 0.0}, {"smoothing": 1.5}])
def test_choices_that_cannot_be(choice: dict) -> None:
    with pytest.raises(DataError, match="must be"):
        Tracker(sphere(4), Tracking(**choice))


def test_places_for_other_vertices() -> None:
    with pytest.raises(DataError, match="as many canonical places"):
        Tracker(sphere(4), canonical=np.zeros((3, 3)))
