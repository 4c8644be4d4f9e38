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

    Windows start at 0, each no earlier than the one before and no later than that one ends; they may share more or less
    than `overlap` frames, and more than two may meet: the weights are made to add up to 1 everywhere. Where windows
    agree the result is that value, to the bit.
    """
    blender = Blender(overlap)
    for start, window in windows:
        if start > blender.first:
            yield blender.take(start)
        blender.add(start, window)
    if blender.last > blender.first:
        yield blender.take(blender.last)


def joined(windows: Iterable[tuple[int, Tensor]], overlap: int) -> Tensor:
    """As `blend`, all of it: (…, T, C)."""
    return torch.cat(list(blend(windows, overlap)), dim=-2)


class Blender:
    """Weighted means of the frames from `first` on, which are not given out yet, and the weights that went into them.

    For windows whose end their maker does not know: `blend` is the plain form.
    """

    def __init__(self, overlap: int) -> None:
        self.overlap = overlap
        self.first = 0
        self._mean: Tensor | None = None
        self._weight = torch.zeros(0)

    @property
    def last(self) -> int:
        """The frame after the last one that is held."""
        return self.first + len(self._weight)

    def add(self, start: int, window: Tensor) -> None:
        """Take in (…, n, C), which begins at a frame that is not given out yet and ends no earlier than others did."""
        weight = fade(window.shape[-2], self.overlap).to(window)
        if not self.first <= start <= self.last <= start + len(weight):
            raise ValueError(f"no window covers frame {self.last}, or frame {start} is given out or covered already")
        if self._mean is None:
            self._mean, self._weight = window, weight
            return
        before, shared = start - self.first, self.last - start
        share = weight[:shared] / (self._weight[before:] + weight[:shared])
        earlier, both = self._mean[..., :before, :], self._mean[..., before:, :]
        both = both + share[:, None] * (window[..., :shared, :] - both)
        self._mean = torch.cat((earlier, both, window[..., shared:, :]), dim=-2)
        self._weight = torch.cat((self._weight[:before], self._weight[before:] + weight[:shared], weight[shared:]))

    def take(self, until: int) -> Tensor:
        """The held frames before this one: no later window may begin before it."""
        if self._mean is None or until > self.last:
            raise ValueError(f"no window covers frame {self.last}")
        frames = until - self.first
        done, self._mean = self._mean[..., :frames, :], self._mean[..., frames:, :].clone()
        self.first, self._weight = until, self._weight[frames:]
        return done
