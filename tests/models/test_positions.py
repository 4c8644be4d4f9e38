"""Position and bias formulas, where the golden cases do not reach."""

from __future__ import annotations

import math

import pytest
import torch

from models.positions import alignment_mask, head_slopes, periodic_encoding, temporal_bias


def test_encoding_repeats_with_the_period_at_any_length():
    rows = periodic_encoding(2000, 8, 30)
    assert torch.equal(rows[1980:1995], rows[:15])
    assert rows[31, 0] == pytest.approx(math.sin(1))
    assert rows[31, 1] == pytest.approx(math.cos(1))


def test_slopes_of_a_power_of_two_and_of_another_number():
    assert head_slopes(4) == [2**-2, 2**-4, 2**-6, 2**-8]
    assert head_slopes(6) == [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3]


def test_bias_counts_whole_periods_back_from_the_query():
    bias = temporal_bias(100, 4, 25)
    assert torch.equal(bias[0, 60, 36:61], torch.zeros(25))
    assert torch.equal(bias[0, 60, 11:36], torch.full((25,), -0.25))
    assert bias[3, 99, 0] == -3 / 256
    assert torch.isneginf(bias[:, 5, 6:]).all()


def test_each_frame_sees_only_its_own_steps():
    visible = ~alignment_mask(3, 7, 2)
    assert visible.nonzero().tolist() == [[0, 0], [0, 1], [1, 2], [1, 3], [2, 4], [2, 5]]
