"""Overlapping windows made into one sequence: what a network that sees only so much at once says of a long clip.

Neighbours are faded into each other over their overlap, with weights that rise and fall as sin² and cos²: they add up
to 1, and neither they nor their slopes jump. Windows go in one by one and frames come out as soon as no later window
can change them, so that no more than the windows that overlap are held. Shapes: n and T frames, any leading axes, C
channels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor


def window_starts(length: int, window: int, overlap: int) -> list[int]:
    """First frames of windows that cover `length` frames, at least `overlap` of them shared with the one before.

    All are `window` frames long, the last one too: it is moved back to end with the clip. A clip that is not longer
    than a window has one.
    """
    if not 0 <= overlap < window:
        raise ValueError(f"windows of {window} frames cannot share {overlap}")
    if length <= window:
        return [0]
    return [*range(0, length - window, window - overlap), length - window]


def fade(length: int, overlap: int) -> Tensor:
    """(length,) weights of a window: rising over its first `overlap` frames, falling over its last, 1 between.

    Falling and rising weights of two windows that share `overlap` frames add up to 1; none is 0.
    """
    overlap = min(overlap, length)
    rising = torch.sin(torch.arange(1, overlap + 1) * (math.pi / (2 * (overlap + 1)))).square()
    weights = torch.ones(length)
    weights[:overlap] = rising
    weights[length - overlap :] = torch.minimum(weights[length - overlap :], rising.flip(0))
    return weights


def blend(windows: Iterable[tuple[int, Tensor]], overlap: int) -> Iterator[Tensor]:
    """(first frame, (…, n, C)) of one window after the other → the parts (…, m, C) of one sequence, in order.

    Windows start at 0, each later than the one before and no later than that one ends; they may share more than
    `overlap` frames, and more than two may meet: the weights are made to add up to 1 everywhere. Where windows agree
    the result is that value, to the bit.
    """
    held = _Held()
    for start, window in windows:
        if start > held.first:
            yield held.take(start - held.first)
        held.add(start, window, fade(window.shape[-2], overlap).to(window))
    if held.length:
        yield held.take(held.length)


def joined(windows: Iterable[tuple[int, Tensor]], overlap: int) -> Tensor:
    """As `blend`, all of it: (…, T, C)."""
    return torch.cat(list(blend(windows, overlap)), dim=-2)


class _Held:
    """Weighted means of the frames that are not given out yet, and the weights that went into them."""

    def __init__(self) -> None:
        self.first = 0
        self._mean: Tensor | None = None
        self._weight = torch.zeros(0)

    @property
    def length(self) -> int:
        return len(self._weight)

    def add(self, start: int, window: Tensor, weight: Tensor) -> None:
        """Take a window in; `start` is the first frame that is held."""
        if start != self.first or start + len(weight) < self.first + self.length:
            raise ValueError(f"a window from frame {start} on leaves a gap or ends before the one before it")
        if self._mean is None:
            self._mean, self._weight = window, weight
            return
        shared = self.length
        total = self._weight + weight[:shared]
        apart = window[..., :shared, :] - self._mean
        mean = self._mean + (weight[:shared] / total)[:, None] * apart
        self._mean = torch.cat((mean, window[..., shared:, :]), dim=-2)
        self._weight = torch.cat((total, weight[shared:]))

    def take(self, frames: int) -> Tensor:
        """The first frames, which are final."""
        if self._mean is None or frames > self.length:
            raise ValueError(f"no window covers frame {self.first + self.length}")
        done, self._mean = self._mean[..., :frames, :], self._mean[..., frames:, :].clone()
        self.first, self._weight = self.first + frames, self._weight[frames:]
        return done
