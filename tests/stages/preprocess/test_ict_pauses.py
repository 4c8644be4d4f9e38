"""Sentences end in the middle of pauses, within their limits, and leave no frame out."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from stages.preprocess.ict_facegood.pauses import Limits, cut, levels, sample_at
from stages.preprocess.sound import Clip

LIMITS = Limits(silence_db=-40.0, pause=6, shortest=20, longest=60)


def speech(*runs: int) -> np.ndarray:
    """Levels of runs of frames, loud and silent in turn, loud first."""
    return np.concatenate([np.full(frames, 0.0 if k % 2 == 0 else -60.0) for k, frames in enumerate(runs)])


@pytest.mark.parametrize(
    ("runs", "cuts"),
    [
        ((30, 10, 30), [35]),
        ((25, 5, 25), []),  # no pause, and short enough
        ((10, 10, 10, 10, 30), [35]),  # the first pause comes too early
        ((30, 10, 12), []),  # what follows would be too short
        ((30, 10, 30, 10, 30), [35, 75]),
        ((0, 10, 30, 10, 30, 10), [45]),  # silence at the ends is no pause
    ],
)
def test_where_it_is_cut(runs: tuple[int, ...], cuts: list[int]) -> None:
    level = speech(*runs)
    edges = [0, *cuts, len(level)]
    assert cut(level, LIMITS) == list(pairwise(edges))


def test_without_a_pause_it_is_cut_at_the_quietest_frame() -> None:
    level = np.zeros(100)
    level[[10, 47, 70]] = [-30, -20, -25]
    assert cut(level, LIMITS) == [(0, 47), (47, 100)]


def test_any_sound_is_covered_by_sentences_within_the_limits() -> None:
    rng = np.random.default_rng(5)
    for _ in range(200):
        level = speech(*rng.integers(1, 90, rng.integers(1, 12))) + rng.normal(size=1)
        found = cut(level, LIMITS)
        assert [first for first, _ in found] == [0, *(end for _, end in found[:-1])]
        assert found[-1][1] == len(level)
        lengths = [end - first for first, end in found]
        assert max(lengths) <= LIMITS.longest
        assert min(lengths) >= min(LIMITS.shortest, len(level))


def test_levels_are_against_the_loud_frames_and_silent_after_the_end() -> None:
    rate, fps = 16000, 30.0
    tone = np.sin(np.arange(rate) * 0.3)
    samples = np.concatenate([8000 * tone, 80 * tone]).astype(np.int16)
    level = levels(Clip(samples, rate), 63, fps)
    np.testing.assert_allclose(level[:30], 0, atol=0.2)
    np.testing.assert_allclose(level[30:60], -40, atol=0.3)
    assert (level[60:] < -100).all()


def test_samples_of_neighbouring_frames_meet() -> None:
    assert sample_at(np.arange(4), 16000, 30.0).tolist() == [0, 533, 1067, 1600]
