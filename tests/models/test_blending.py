"""Windows that overlap become one sequence without a seam."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from models.blending import blend, fade, joined, window_starts

SIZES = [(100, 20, 5), (101, 20, 5), (119, 20, 10), (47, 20, 0), (60, 20, 19), (20, 20, 5), (7, 20, 5), (21, 20, 5)]


def cut(sequence: Tensor, window: int, overlap: int) -> list[tuple[int, Tensor]]:
    return [
        (start, sequence[..., start : start + window, :])
        for start in window_starts(sequence.shape[-2], window, overlap)
    ]


@pytest.mark.parametrize(("length", "window", "overlap"), SIZES)
def test_windows_cover_a_clip_and_share_enough(length, window, overlap):
    starts = window_starts(length, window, overlap)
    assert starts[0] == 0
    assert starts[-1] + min(window, length) == length
    for before, after in pairwise(starts):
        assert before < after <= before + window - overlap


@pytest.mark.parametrize(("length", "window", "overlap"), SIZES)
def test_where_windows_agree_nothing_changes(length, window, overlap):
    sequence = torch.randn(2, length, 3)
    assert torch.equal(joined(cut(sequence, window, overlap), overlap), sequence)


@pytest.mark.parametrize("overlap", [0, 1, 5, 10])
def test_weights_of_neighbours_add_up_to_one(overlap):
    weights = fade(20, overlap)
    assert (weights > 0).all()
    torch.testing.assert_close(weights[20 - overlap :] + weights[:overlap], torch.ones(overlap))
    assert torch.equal(weights[overlap : 20 - overlap], torch.ones(20 - 2 * overlap))


def test_neighbours_meet_in_the_middle():
    parts = [(0, torch.zeros(20, 1)), (11, torch.ones(20, 1))]
    found = joined(parts, 9)[:, 0]
    assert torch.equal(found[:11], torch.zeros(11))
    assert torch.equal(found[20:], torch.ones(11))
    assert math.isclose(found[15], 0.5, abs_tol=1e-6)
    assert (found.diff() >= 0).all()


@pytest.mark.parametrize("length", [400, 417])
def test_joins_are_no_rougher_than_the_inside(length):
    """A mouth that opens three times a second at 30 frames, of which each window is up to 3 % off in its own way."""
    torch.manual_seed(0)
    time = torch.arange(length, dtype=torch.float64)[:, None]
    smooth = torch.sin(2 * math.pi * 0.1 * time + torch.arange(4))
    window, overlap = 60, 20
    parts = [(start, part * (1 + 0.03 * torch.randn(4)) + 0.03 * torch.randn(4)) for start, part in cut(smooth, 60, 20)]
    rough = joined(parts, overlap).diff(n=2, dim=0).abs().amax(1)
    at_join = torch.zeros(length, dtype=torch.bool)
    for start, part in parts[1:]:
        at_join[start - 1 : start + overlap + 1] = True
        assert len(part) == window
    assert rough[at_join[1:-1]].max() <= rough[~at_join[1:-1]].max()
    hard = torch.cat([*(part[: window - overlap] for _, part in parts[:-1]), parts[-1][1]])[:length]
    assert hard.diff(n=2, dim=0).abs().max() > 1.1 * rough.max()


def test_frames_come_out_as_soon_as_no_window_can_change_them():
    given: list[int] = []

    def windows() -> Iterator[tuple[int, Tensor]]:
        for i in range(200):
            given.append(50 * i)
            yield given[-1], torch.full((100, 3), float(i))

    done = 0
    for part in blend(windows(), 50):
        done += len(part)
        assert done >= given[-1]
        assert len(part) <= 100
    assert done == given[-1] + 100


def test_a_gap_is_an_error():
    with pytest.raises(ValueError, match="no window covers frame 10"):
        joined([(0, torch.zeros(10, 1)), (11, torch.zeros(10, 1))], 2)
    with pytest.raises(ValueError, match="or covered already"):
        joined([(0, torch.zeros(10, 1)), (3, torch.zeros(5, 1))], 2)
    with pytest.raises(ValueError, match="cannot share"):
        window_starts(10, 5, 5)
