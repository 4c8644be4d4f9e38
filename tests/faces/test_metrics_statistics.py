from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from faces.metrics_statistics import EXACT_UP_TO, PATTERNS, bootstrap_interval, sign_flip_test, weighted_mean


def test_weighted_mean() -> None:
    assert weighted_mean(np.array([1.0, 4.0]), np.array([1.0, 3.0])) == 13 / 4
    assert math.isnan(weighted_mean(np.empty(0), np.empty(0)))


def test_an_interval_covers_as_often_as_it_says() -> None:
    """300 draws of 40 values: a 95 % interval misses the true mean in some 5 of 100, a bit more for small samples."""
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(300):
        low, high = bootstrap_interval(rng.normal(3, 2, 40), np.ones(40)) or (0, 0)
        inside += low <= 3 <= high
    assert 0.90 <= inside / 300 <= 0.98


def test_an_interval_is_that_of_the_standard_error() -> None:
    values = np.random.default_rng(2).normal(size=400)
    low, high = bootstrap_interval(values, np.ones(400)) or (0, 0)
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.08)
    assert bootstrap_interval(values, np.ones(400)) == (low, high)


def test_an_interval_of_pooled_frames_is_that_of_a_ratio_of_sums() -> None:
    """A resample keeps a sequence's value and length together."""
    values, weights = np.array([1.0, 10.0]), np.array([1.0, 3.0])
    low, high = bootstrap_interval(values, weights) or (0, 0)
    assert (low, high) == (1.0, 10.0)
    assert bootstrap_interval(np.array([2.0, 2.0, 2.0]), np.array([5.0, 1.0, 9.0])) == (2, 2)
    assert bootstrap_interval(values[:1], weights[:1]) is None


def test_the_exact_p_by_trying_all_signs() -> None:
    rng = np.random.default_rng(3)
    differences, weights = rng.normal(0.4, 1, 7), rng.integers(20, 90, 7).astype(float)
    sums = [abs(np.dot(signs, differences * weights)) for signs in itertools.product((-1, 1), repeat=7)]
    expected = np.mean(np.array(sums) >= abs(differences @ weights) - 1e-9)
    test = sign_flip_test(differences, weights)
    assert (test.p, test.patterns, test.exact) == (expected, 128, True)


def test_drawn_signs_agree_with_all() -> None:
    rng = np.random.default_rng(4)
    count = EXACT_UP_TO + 3
    differences = rng.normal(0.25, 1, count)
    signs = ((np.arange(2**count)[:, None] >> np.arange(count)) & 1) * 2 - 1
    exact = np.mean(np.abs(signs @ differences) >= abs(differences.sum()) * (1 - 1e-12))
    test = sign_flip_test(differences, np.ones(count))
    assert (test.patterns, test.exact) == (PATTERNS, False)
    assert test.p == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / PATTERNS))
    assert sign_flip_test(differences, np.ones(count)) == test


def test_p_is_never_zero_and_one_where_nothing_differs() -> None:
    assert sign_flip_test(np.ones(4), np.ones(4)).p == 2 / 16
    assert sign_flip_test(np.ones(60), np.ones(60)).p == 1 / (PATTERNS + 1)
    assert sign_flip_test(np.zeros(5), np.ones(5)).p == 1
    assert math.isnan(sign_flip_test(np.empty(0), np.empty(0)).p)


def test_small_p_are_as_rare_as_they_should_be() -> None:
    rng = np.random.default_rng(5)
    ps = [sign_flip_test(rng.normal(size=10), np.ones(10)).p for _ in range(400)]
    assert np.mean(np.array(ps) <= 0.05) == pytest.approx(0.05, abs=0.03)
