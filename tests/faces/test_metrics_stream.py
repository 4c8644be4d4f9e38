"""What is streamed in blocks is what plain NumPy makes of the whole."""

from __future__ import annotations

import math

import numpy as np
import pytest

from faces.metrics_kernels import add_frames
from faces.metrics_measures import of_prediction, of_still
from faces.metrics_parts import Parts
from faces.metrics_stream import BLOCK_BYTES, Apart, Moving, Stills, block_frames, flat

FRAMES, VERTICES, FPS = 23, 700, 25.0
PARTS = Parts(
    VERTICES,
    lips=np.array([600, 3, 699, 3, 255, 256]),
    upper_face=np.array([5, 6, 6, 400]),
    lip_upper=np.array([3, 600]),
    lip_lower=np.array([255]),
    lip_middle=np.array([3, 256]),
    up=2,
)


@pytest.fixture(scope="module")
def arrays() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    template = rng.normal(size=(VERTICES, 3))
    truth, prediction = (template + 0.1 * rng.normal(size=(2, FRAMES, VERTICES, 3))).astype(np.float32)
    return truth, prediction, template


def streamed(truth: np.ndarray, prediction: np.ndarray, template: np.ndarray, step: int) -> dict[str, float]:
    first, second, apart = Moving(template, PARTS), Moving(template, PARTS), Apart(PARTS)
    for start in range(0, len(truth), step):
        here = slice(start, start + step)
        first.add(truth[here])
        second.add(prediction[here])
        apart.add(truth[here], prediction[here])
    return of_prediction(PARTS, first, second, apart, FPS)


def plain(truth: np.ndarray, made: np.ndarray, template: np.ndarray) -> dict[str, float]:
    """Regions count as the definitions say: means over vertices each once, the dynamics over the list as it is."""
    truth, made = truth.astype(np.float64), made.astype(np.float64)
    apart = np.linalg.norm(truth - made, axis=2)
    steps = FPS * np.linalg.norm(np.diff(truth, axis=0) - np.diff(made, axis=0), axis=2)
    spread = [np.square(x - template).sum(axis=2).std(axis=0)[PARTS.upper_face].mean() for x in (truth, made)]
    gap = [np.linalg.norm(x[:, [3, 600]].mean(axis=1) - x[:, 255], axis=1) for x in (truth, made)]
    extent = [np.ptp(x[:, PARTS.lips, 2], axis=1) for x in (truth, made)]
    middle = [np.linalg.norm(x[:, 3] - x[:, 256], axis=1) for x in (truth, made)]
    lips, upper = np.unique(PARTS.lips), np.unique(PARTS.upper_face)
    return {
        "distance": apart.mean(),
        "distance_lips": apart[:, lips].mean(),
        "distance_upper": apart[:, upper].mean(),
        "distance_lower": np.delete(apart, upper, axis=1).mean(),
        "lip_squared": np.square(apart[:, lips]).max(axis=1).mean(),
        "lip_distance": apart[:, lips].max(axis=1).mean(),
        "deviation": spread[0] - spread[1],
        "deviation_abs": abs(spread[0] - spread[1]),
        "velocity": steps.mean() if len(steps) else math.nan,
        "velocity_lips": steps[:, lips].mean() if len(steps) else math.nan,
        "opening_error": np.abs(gap[0] - gap[1]).mean(),
        "opening_correlation": np.corrcoef(*gap)[0, 1] if len(steps) else math.nan,
        "extent_error": np.abs(extent[0] - extent[1]).mean(),
        "lip_middle_error": np.abs(middle[0] - middle[1]).mean(),
    }


@pytest.mark.parametrize("step", [1, 8, FRAMES])
def test_blocks_are_the_whole(arrays: tuple[np.ndarray, np.ndarray, np.ndarray], step: int) -> None:
    found, expected = streamed(*arrays, step), plain(*arrays)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-10), name


def test_a_single_frame_has_no_velocity(arrays: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, prediction, template = arrays
    found, expected = streamed(truth[:1], prediction[:1], template, 8), plain(truth[:1], prediction[:1], template)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-10, nan_ok=True), name
    assert math.isnan(found["velocity"])
    assert found["deviation"] == 0


def test_a_still_face_is_a_motion_that_does_not_move(arrays: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, _, template = arrays
    face = template + 0.01
    moving, stills = Moving(template, PARTS), Stills({"other": template, "face": face}, PARTS)
    for block in (truth[:9], truth[9:]):
        moving.add(block)
        stills.add(block)
    found = of_still(PARTS, moving, stills["face"], FPS)
    wide = np.broadcast_to(face, truth.shape)
    with np.errstate(invalid="ignore"):
        expected = plain(truth, wide, template)
    for name, value in expected.items():
        if name not in ("opening_correlation", "lip_squared", "lip_distance"):
            assert found[name] == pytest.approx(value, rel=1e-9), name
    apart = np.linalg.norm(truth.astype(np.float64) - face, axis=2)[:, PARTS.lips]
    assert found["lip_squared"] == pytest.approx(np.square(apart).max(axis=1).mean())
    assert math.isnan(found["opening_correlation"])


def test_the_deviation_of_a_large_offset_survives() -> None:
    """Its variance is a trillionth of its square: a sum of squares without a shift would lose it."""
    rng = np.random.default_rng(0)
    motion = (1000.0 + 1e-3 * rng.normal(size=(50, 3, 3))).astype(np.float64)
    parts = Parts(3, upper_face=np.arange(3))
    moving = Moving(np.zeros((3, 3)), parts)
    moving.add(motion)
    expected = np.square(motion).sum(axis=2).std(axis=0)
    np.testing.assert_allclose(moving.deviation, expected, rtol=1e-7)


def test_what_happens_at_each_vertex(arrays: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, prediction, template = arrays
    moving, apart = Moving(template, PARTS), Apart(PARTS)
    for here in (slice(0, 10), slice(10, None)):
        moving.add(truth[here])
        apart.add(truth[here], prediction[here])
    steps = np.linalg.norm(np.diff(truth.astype(np.float64), axis=0), axis=2)
    np.testing.assert_allclose(moving.steps[0], steps.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(moving.steps[1], steps.std(axis=0), rtol=1e-7)
    error = np.linalg.norm(truth.astype(np.float64) - prediction, axis=2)
    np.testing.assert_allclose(apart.heat, error.sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize("vertex", [0, 255, 256, 699])
def test_nan_is_seen_wherever_it_stands(arrays: tuple[np.ndarray, np.ndarray, np.ndarray], vertex: int) -> None:
    truth, prediction, _ = arrays
    broken = prediction.copy()
    broken[4, vertex, 1] = np.nan
    apart = Apart(PARTS)
    apart.add(truth, broken)
    assert np.flatnonzero(~np.isfinite(apart.sums).all(axis=1))[0] == 4


def test_frames_are_added(arrays: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    total = np.ones(3 * VERTICES)
    add_frames(flat(arrays[0]), total)
    np.testing.assert_allclose(total, 1 + arrays[0].astype(np.float64).sum(axis=0).ravel(), rtol=1e-12)


def test_blocks_fit_their_budget() -> None:
    assert block_frames(23370) * 23370 * 12 <= BLOCK_BYTES
    assert block_frames(10**7) == 1
