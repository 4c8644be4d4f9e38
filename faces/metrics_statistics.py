"""How sure a mean over sequences is: bootstrap intervals, and permutation tests of paired differences.

Sequences are what is drawn: frames of one sentence resemble each other, so each frame by itself says little. A mean is
the ratio Σ w x / Σ w; a sequence's weight w is its frames where frames are pooled and 1 otherwise, and resampling keeps
value and weight together. Everything is drawn from a fixed seed: equal numbers give equal intervals.

Sources: Efron and Tibshirani, An Introduction to the Bootstrap, 1993 (percentile interval); Fisher, The Design of
Experiments, 1935 (sign flips); Phipson and Smyth, 2010 (the one that is added to both counts).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEVEL = 0.95
RESAMPLES = 2000
EXACT_UP_TO = 14
"""Pairs whose 2^n sign patterns are all tried."""
PATTERNS = 10_000
"""Sign patterns that are drawn for more pairs than that."""
SEED = 0
CHUNK = 500
TIE = 1e-12
"""Two means closer than this share of the observed one are equal: sums in another order differ by rounding."""


def weighted_mean(values: Array, weights: Array) -> float:
    """Σ w x / Σ w; NaN for none."""
    return float(values @ weights / weights.sum()) if len(values) and weights.sum() > 0 else float("nan")


def bootstrap_interval(values: Array, weights: Array) -> tuple[float, float] | None:
    """The 95 % percentile interval of `weighted_mean`, sequences drawn with replacement. None for fewer than two."""
    count = len(values)
    if count < 2:
        return None
    rng = np.random.default_rng(SEED)
    means = []
    for _ in range(0, RESAMPLES, CHUNK):
        times = rng.multinomial(count, np.full(count, 1 / count), size=CHUNK)
        means.append((times @ (values * weights)) / (times @ weights))
    low, high = np.quantile(np.concatenate(means), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class SignTest:
    """p: two-sided. patterns: how many sign patterns were tried. exact: those are all."""

    p: float
    patterns: int
    exact: bool


def sign_flip_test(differences: Array, weights: Array) -> SignTest:
    """Is the weighted mean of paired differences zero? If so, each might as well have the other sign.

    p is the share of sign patterns whose mean is at least as far from zero as the observed; drawn patterns count the
    observed one too, so that p is never 0. NaN for no pairs.
    """
    count = len(differences)
    if not count:
        return SignTest(float("nan"), 0, True)
    terms = differences * weights
    limit = abs(terms.sum()) * (1 - TIE)
    exact = count <= EXACT_UP_TO
    reached = sum(int((np.abs(signs @ terms) >= limit).sum()) for signs in _patterns(count, exact))
    patterns = 2**count if exact else PATTERNS
    return SignTest(reached / patterns if exact else (reached + 1) / (patterns + 1), patterns, exact)


def _patterns(count: int, exact: bool) -> Iterator[NDArray[np.int8]]:
    """(CHUNK, count) signs at a time."""
    rng = np.random.default_rng(SEED)
    if not exact:
        for _ in range(0, PATTERNS, CHUNK):
            yield rng.integers(0, 2, (CHUNK, count), np.int8) * np.int8(2) - np.int8(1)
        return
    bits = np.arange(count)
    for start in range(0, 2**count, 2**12):
        numbers = np.arange(start, min(start + 2**12, 2**count))
        yield ((numbers[:, None] >> bits & 1) * 2 - 1).astype(np.int8)
