"""Metrics against hand-made numbers, against plain loops, and against the published evaluations' own results."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest

from faces import metrics
from faces.metrics import Mean
from faces.metrics_parts import Parts
from faces.metrics_stream import Moving, Stills

rng = np.random.default_rng(0)


def motions(frames: int = 7, vertices: int = 6) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(frames, vertices, 3)), rng.normal(size=(frames, vertices, 3)).astype(np.float32)


LIPS = np.array([1, 3, 4])


def test_errors_by_hand() -> None:
    """One vertex of two is off by (3, 4, 0) in the second frame only."""
    truth = np.zeros((2, 2, 3))
    prediction = truth.copy()
    prediction[1, 1] = (3, 4, 0)
    both = np.array([0, 1])
    np.testing.assert_array_equal(metrics.lve_per_frame(truth, prediction, both), [0, 25])
    np.testing.assert_array_equal(metrics.mve_per_frame(truth, prediction), [0, 2.5])
    np.testing.assert_array_equal(metrics.lve_per_frame(truth, prediction, np.array([0])), [0, 0])


def test_the_largest_error_is_over_vertices_not_over_time() -> None:
    truth, prediction = motions()
    expected = [max(float(((truth[t, v] - prediction[t, v]) ** 2).sum()) for v in LIPS) for t in range(7)]
    np.testing.assert_allclose(metrics.lve_per_frame(truth, prediction, LIPS), expected)


def test_dynamics_by_a_plain_loop() -> None:
    truth, prediction = motions()
    template = rng.normal(size=(6, 3))

    def plain(motion: np.ndarray) -> float:
        spreads = []
        for v in LIPS:
            squares = [float(((frame[v].astype(float) - template[v]) ** 2).sum()) for frame in motion]
            mean = sum(squares) / len(squares)
            spreads.append(math.sqrt(sum((s - mean) ** 2 for s in squares) / len(squares)))
        return sum(spreads) / len(spreads)

    assert metrics.fdd(truth, prediction, template, LIPS) == pytest.approx(plain(truth) - plain(prediction))
    still = np.repeat(template[None], 7, axis=0)
    assert metrics.fdd(truth, still, template, LIPS) == pytest.approx(plain(truth))
    assert metrics.fdd(still, truth, template, LIPS) == pytest.approx(-plain(truth))


def test_long_clips_go_block_by_block() -> None:
    truth, prediction = motions(frames=2 * 300 + 5)
    squared = np.square(truth - prediction).sum(axis=2)
    np.testing.assert_allclose(metrics.lve_per_frame(truth, prediction, LIPS), squared[:, LIPS].max(axis=1))
    np.testing.assert_allclose(metrics.mve_per_frame(truth, prediction), np.sqrt(squared).mean(axis=1))
    spread = np.square(truth - truth[0]).sum(axis=2)[:, LIPS].std(axis=0).mean()
    assert metrics.dynamics(truth, truth[0], LIPS) == pytest.approx(spread)


def test_small_errors_far_from_the_origin_survive() -> None:
    """float32 arithmetic would lose them: the error is 1e-4 of a position of 1."""
    truth = np.ones((3, 2, 3), np.float32)
    prediction = truth.copy()
    prediction[:, 0, 0] += np.float32(1e-4)
    error = float(prediction[0, 0, 0]) - 1.0
    np.testing.assert_allclose(metrics.lve_per_frame(truth, prediction, np.array([0])), error**2, rtol=1e-12)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("still", [False, True])
def test_a_lip_vertex_that_is_no_number_is_no_error_of_zero(place: int, still: bool) -> None:
    truth, prediction = motions()
    truth[3, LIPS[place], 1] = np.nan
    found = metrics.lve_per_frame(truth, prediction, LIPS)
    if still:
        faces = Stills({"neutral": prediction[0]}, Parts(6, lips=LIPS))
        faces.add(truth)
        found = faces["neutral"].lips_squared
    assert np.flatnonzero(np.isnan(found)).tolist() == [3]
    moving = Moving(prediction[0], Parts(6, lips=LIPS))
    moving.add(truth)
    assert np.flatnonzero(np.isnan(moving.lips["lips"])).tolist() == [3]


def test_opening_and_its_correlation() -> None:
    motion = np.zeros((5, 4, 3))
    motion[:, 0, 1] = motion[:, 1, 1] = np.arange(5.0)
    motion[:, 2, 1], motion[:, 3, 1] = -1.0, -3.0
    opening = metrics.opening(motion, np.array([0, 1]), np.array([2, 3]))
    np.testing.assert_array_equal(opening, np.arange(5.0) + 2)
    assert metrics.correlation(opening, 3 * opening + 1) == pytest.approx(1)
    assert metrics.correlation(opening, -opening) == pytest.approx(-1)
    assert math.isnan(metrics.correlation(opening, np.full(5, 2.0)))
    noise = rng.normal(size=5)
    assert metrics.correlation(opening, noise) == pytest.approx(np.corrcoef(opening, noise)[0, 1])


def test_diversity_is_the_mean_over_pairs() -> None:
    samples = [np.full((4, 2, 3), x, np.float64) for x in (0.0, 1.0, 3.0)]
    assert metrics.diversity(samples) == pytest.approx(math.sqrt(3) * (1 + 3 + 2) / 3)
    assert math.isnan(metrics.diversity(samples[:1]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_diversity_keeps_the_precision_it_is_given(dtype: type) -> None:
    """The published number is made of float32 predictions in float32, pair by pair."""
    generator = np.random.default_rng(3)
    samples: list[np.ndarray] = [generator.normal(size=(9, 31, 3)).astype(dtype) for _ in range(3)]
    pairs = [
        np.mean([np.mean(np.linalg.norm(x - y, axis=1)) for x, y in zip(a, b, strict=True)])
        for a, b in itertools.combinations(samples, 2)
    ]
    assert {pair.dtype for pair in pairs} == {np.dtype(dtype)}
    assert metrics.diversity(samples) == np.mean([float(pair) for pair in pairs])
    with pytest.raises(ValueError, match="to_shorter"):
        metrics.diversity([samples[0], samples[1][:5]])


def test_means_by_frames_and_by_sequences() -> None:
    by_frames, by_sequences = Mean("frames"), Mean("sequences")
    for mean in (by_frames, by_sequences):
        mean.add(1.0, 1)
        mean.add(4.0, 3)
        mean.add(float("nan"), 100)
    assert (by_frames.value, by_sequences.value) == (13 / 4, 2.5)
    assert math.isnan(Mean().value)


def test_lengths_must_agree() -> None:
    truth, prediction = motions()
    with pytest.raises(ValueError, match="to_shorter"):
        metrics.mve_per_frame(truth, prediction[:3])
    with pytest.raises(ValueError, match="empty"):
        metrics.mve_per_frame(truth[:0], prediction[:0])
    assert [len(part) for part in metrics.to_shorter(truth, prediction[:3])] == [3, 3]


@pytest.mark.parametrize("short", [False, True])
def test_published_evaluations(short: bool) -> None:
    """CodeTalker's and FaceDiffuser's scripts on the same random data."""
    folder = Path(__file__).parents[1] / "golden" / "cases"
    config = json.loads((folder / "metrics_lve_fdd.json").read_text())["config"]
    stored = np.load(folder / "metrics_lve_fdd.npz")
    means = {name: Mean() for name in ("lve", "mve", "fdd", "abs_fdd")}
    for subject, sentence in itertools.product(config["subjects"], config["sentences"]):
        truth, prediction = (stored[f"in/{kind}_{subject}_{sentence}"] for kind in ("gt", "pred"))
        keep = int(stored[f"in/keep_{subject}_{sentence}"]) if short else None
        pair = metrics.to_shorter(truth.reshape(len(truth), -1, 3), prediction.reshape(len(prediction), -1, 3)[:keep])
        deviation = metrics.fdd(*pair, stored[f"in/template_{subject}"], stored["in/upper_vertices"])
        frames = len(pair[0])
        means["lve"].add(float(metrics.lve_per_frame(*pair, stored["in/mouth_vertices"]).mean()), frames)
        means["mve"].add(float(metrics.mve_per_frame(*pair).mean()), frames)
        means["fdd"].add(deviation, 1)
        means["abs_fdd"].add(abs(deviation), 1)
    for name, mean in means.items():
        assert abs(mean.value - stored[f"out/{'short_' if short else ''}fd_{name}"]) < 1e-9
