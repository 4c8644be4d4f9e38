"""What lips do: how far they open, whether two mouths open together, how far they are from the truth.

These few stand apart from the rest of the metrics, of which training needs nothing else: its results shall not hang on
the code of all of them. Motion is (T, V, 3); arithmetic is float64 whatever comes in.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Motion = NDArray[np.floating]
Region = NDArray[np.integer]


def lve_per_frame(truth: Motion, prediction: Motion, lips: Region) -> Array:
    """(T,): the largest squared distance over the lips of each frame. NaN where one is."""
    check_lengths(truth, prediction)
    apart = truth[:, lips].astype(np.float64) - prediction[:, lips]
    largest: Array = np.square(apart).sum(axis=-1).max(axis=1)
    return largest


def opening(motion: Motion, upper_lip: Region, lower_lip: Region) -> Array:
    """(T,): how far the mean of the upper lip's vertices is from the mean of the lower lip's."""
    upper, lower = (motion[:, lip].astype(np.float64).mean(axis=1) for lip in (upper_lip, lower_lip))
    return np.sqrt(np.square(upper - lower).sum(axis=1))


def correlation(a: Array, b: Array) -> float:
    """Pearson's r; NaN where either does not change (by more than rounding)."""
    if any(np.ptp(series) <= 1e-9 * np.abs(series).max() for series in (a, b)):
        return float("nan")
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def check_lengths(truth: Motion, prediction: Motion) -> None:
    """ValueError where two motions are not of one length, or are empty."""
    if truth.shape != prediction.shape or len(truth) == 0:
        raise ValueError(f"shapes {truth.shape} and {prediction.shape} differ or are empty; see to_shorter")
