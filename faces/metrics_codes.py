"""Measures of motion that is rows of numbers, (T, D): expression codes of a head model, its controls, its parameters.

Arithmetic is float64 whatever comes in, and the unit is that of the numbers, which is none. "diversity" is after the
usual one of drawn motion, the mean distance between two samples of one sentence, here a frame's, so that a longer
sentence is not less diverse.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from faces.lips import check_lengths

Rows = NDArray[np.floating]


def of_codes(truth: Rows, made: Rows, fps: float) -> dict[str, float]:
    """Measure → number of one prediction; see `metrics_definitions`."""
    return {"code_mse": code_mse(truth, made), "code_velocity": code_velocity(truth, made, fps)}


def code_mse(truth: Rows, made: Rows) -> float:
    """Mean over frames and numbers of the squared difference."""
    check_lengths(truth, made)
    return float(np.square(_apart(truth, made)).mean())


def code_velocity(truth: Rows, made: Rows, fps: float) -> float:
    """Mean over pairs of neighbouring frames of the length of the difference between their changes, times frames per
    second. NaN for a single frame."""
    check_lengths(truth, made)
    if len(truth) < 2:
        return float("nan")
    return fps * _mean_length(np.diff(_apart(truth, made), axis=0))


def diversity(samples: Sequence[Rows]) -> float:
    """Mean over all pairs of samples of the mean over frames of their distance. NaN for fewer than two."""
    pairs = itertools.combinations(samples, 2)
    found = [_mean_length(_apart(*pair)) for pair in pairs]
    return float(np.mean(found)) if found else float("nan")


def _apart(a: Rows, b: Rows) -> NDArray[np.float64]:
    return a.astype(np.float64) - b.astype(np.float64)


def _mean_length(rows: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(rows, axis=1).mean())
