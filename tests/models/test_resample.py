"""Lengths and interpolation; the golden cases pin the numbers."""

from __future__ import annotations

import torch

from models.resample import align, feature_length, frame_count, interpolate


def test_automatic_length_truncates_the_float_product():
    assert [frame_count(length, 30) for length in (49, 205, 410, 499)] == [29, 122, 245, 299]
    assert 205 * 30 // 50 == 123


def test_feature_length_of_short_sounds():
    assert [feature_length(samples) for samples in (0, 399, 400, 719, 720, 16000)] == [0, 0, 1, 1, 2, 49]


def test_both_end_points_are_kept():
    ramp = torch.arange(10.0)[:, None]
    assert torch.allclose(interpolate(ramp, 4)[:, 0], torch.tensor([0.0, 3.0, 6.0, 9.0]))
    assert torch.allclose(interpolate(ramp, 19)[:, 0], torch.arange(19) / 2)


def test_padding_does_not_reach_into_a_clip():
    features = torch.randn(2, 40, 3)
    features[1, 25:] = 1e6
    aligned = align(features, [40, 25], [24, 15], "interpolate")
    assert aligned.shape == (2, 24, 3)
    assert torch.equal(aligned[1, :15], interpolate(features[1, :25], 15))
    assert not aligned[1, 15:].any()


def test_pairs_keep_the_features_and_drop_an_odd_one():
    features = torch.randn(1, 41, 3)
    assert torch.equal(align(features, [41], [20], "pairs"), features[:, :40])
