"""Measures of rows of numbers, on numbers that can be counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from faces.metrics_codes import code_mse, code_velocity, diversity

TRUTH = np.zeros((3, 2), np.float32)
MADE = np.array([[0, 0], [3, 4], [3, 4]], np.float32)


def test_squared_differences() -> None:
    assert code_mse(TRUTH, MADE) == pytest.approx((9 + 16 + 9 + 16) / 6)
    assert code_mse(MADE, MADE) == 0


def test_changes() -> None:
    assert code_velocity(TRUTH, MADE, fps=24.0) == pytest.approx(24 * (5 + 0) / 2)
    assert code_velocity(TRUTH, TRUTH + 7, fps=24.0) == 0, "what stays the same has no velocity"
    assert math.isnan(code_velocity(TRUTH[:1], MADE[:1], fps=24.0))


def test_diversity_is_a_frames() -> None:
    assert diversity([TRUTH, MADE]) == pytest.approx(10 / 3)
    assert diversity([np.tile(TRUTH, (4, 1)), np.tile(MADE, (4, 1))]) == pytest.approx(10 / 3), "whatever the length"
    assert diversity([TRUTH, MADE, MADE]) == pytest.approx((10 / 3 + 10 / 3 + 0) / 3)
    assert math.isnan(diversity([MADE]))


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match=r"shapes \(3, 2\) and \(2, 2\) differ"):
        code_mse(TRUTH, MADE[:2])
