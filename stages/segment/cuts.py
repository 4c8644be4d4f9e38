"""Where a sequence is cut: frames first, and then the samples that belong to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

SHORTEST = 2
"""Frames of a shorter last segment, below which it is left out: of one nothing moves."""


class Cut(NamedTuple):
    """Frames `start` up to `start + frames`."""

    start: int
    frames: int


def cuts(frames: int, length: int, hop: int, rest: str) -> list[Cut]:
    """The segments of a sequence of so many frames: `length` each, one every `hop` frames.

    rest: of frames behind the last whole segment. "drop": they are in none. "keep": one more, shorter, that ends with
    the sequence. "overlap": one more, whole, that ends with the sequence and shares frames with the one before. A
    sequence that is shorter than a segment is one with "keep", and else none.
    """
    found = [Cut(start, length) for start in range(0, frames - length + 1, hop)]
    if not found:
        return [Cut(0, frames)] if rest == "keep" and frames >= SHORTEST else []
    last = found[-1].start
    following = last + hop
    if last + length >= frames or following >= frames:
        return found
    if rest == "overlap":
        return [*found, Cut(frames - length, length)]
    return [*found, Cut(following, frames - following)] if rest == "keep" and frames - following >= SHORTEST else found


def left_out(frames: int, found: Iterable[Cut]) -> int:
    """How many frames of a sequence are in no segment."""
    covered = 0
    end = 0
    for cut in sorted(found):
        covered += max(0, cut.start + cut.frames - max(end, cut.start))
        end = max(end, cut.start + cut.frames)
    return frames - covered


class Clock(NamedTuple):
    """Which sample a frame begins with: `samples` of `rate` a second beside `frames` of `fps`.

    stretched: the sound spans the motion from end to end, whatever the rates say; else frame i begins i/fps seconds
    after the first. Every frame has one beginning, so that segments that meet in frames meet in samples.
    """

    samples: int
    rate: int
    frames: int
    fps: float
    stretched: bool

    def at(self, frame: int) -> int:
        """The first sample of a frame, at most one behind the last sample."""
        step = self.samples / self.frames if self.stretched else self.rate / self.fps
        return min(self.samples, int(frame * step + 0.5))

    @property
    def apart(self) -> float:
        """Frames by which sound and motion differ in length."""
        return abs(self.samples / self.rate * self.fps - self.frames)
