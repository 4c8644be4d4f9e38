"""The numbers that the motion and the sound of one sequence come to, in one pass over each.

Frames are looked at a few at a time, so that all passes over them stay in the processor's cache.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

try:
    from blake3 import blake3 as digest
except ImportError:  # no wheel for every platform
    from hashlib import sha256 as digest  # type: ignore[assignment]

from stages.preprocess.sound import FULL_SCALE, Clip

Array = NDArray[np.float32]

BLOCK = 24
RUN = 4
"""Samples in a row at full scale that are no chance."""


@dataclass(frozen=True)
class MotionNumbers:
    """bad: (frame, vertex) of the first value that is no number, and in how many frames there is one. jumps: (T,) the
    greatest second difference of any coordinate, which one vertex alone can make. steps: (T,) by how much the middle of
    all vertices moved since the frame before. moved: the greatest step of any coordinate. digest: of all values.
    """

    bad: tuple[int, int] | None
    bad_frames: int
    jumps: NDArray[np.float64]
    steps: NDArray[np.float64]
    moved: float
    digest: str


def measure_motion(frames: Array) -> MotionNumbers:
    """(T, V, 3)."""
    count = len(frames)
    flat = frames.reshape(count, -1)
    jumps, steps = np.zeros(count), np.zeros(count)
    bad: tuple[int, int] | None = None
    bad_frames, moved = 0, 0.0
    weights = np.full(frames.shape[1], 1 / max(1, frames.shape[1]), np.float32)
    hasher = digest(str(frames.shape).encode())
    for start in range(0, count, BLOCK):
        block = flat[max(0, start - 2) : start + BLOCK]
        new = block[start - max(0, start - 2) :]
        hasher.update(np.ascontiguousarray(new).view(np.uint8).data)
        if not np.isfinite(new).all():
            wrong = ~np.isfinite(new)
            rows = np.flatnonzero(wrong.any(axis=1))
            bad_frames += len(rows)
            bad = bad or (start + int(rows[0]), int(np.argmax(wrong[rows[0]])) // 3)
            continue
        if len(block) > 1:
            first = np.diff(block, axis=0)
            moved = max(moved, float(np.nanmax(first)), -float(np.nanmin(first)))
            middle = np.matmul(weights, first.reshape(len(first), -1, 3))  # twenty times as fast as their mean
            _into(steps, start + len(new), np.linalg.norm(middle, axis=1))
            if len(first) > 1:
                second = np.abs(np.diff(first, axis=0))
                _into(jumps, start + len(new) - 1, second.max(axis=1))
    return MotionNumbers(bad, bad_frames, np.nan_to_num(jumps), np.nan_to_num(steps), moved, hasher.hexdigest())


def _into(values: NDArray[np.float64], end: int, found: NDArray[np.floating]) -> None:
    values[end - len(found) : end] = found


@dataclass(frozen=True)
class SoundNumbers:
    """rms, peak: of full scale. clipped: samples in runs at full scale. first: seconds until the first such."""

    rms: float
    peak: float
    clipped: int
    first: float
    digest: str


def measure_sound(clip: Clip) -> SoundNumbers:
    samples = clip.samples
    loud = np.abs(samples.astype(np.int32)) >= FULL_SCALE - 1
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.view(np.int8), [0]])))
    starts, ends = edges[::2], edges[1::2]
    runs = ends - starts >= RUN
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float32)))) / FULL_SCALE
    first = float(starts[runs][0]) / clip.rate if runs.any() else 0.0
    peak = float(np.abs(samples.astype(np.int32)).max(initial=0)) / FULL_SCALE
    clipped = int((ends - starts)[runs].sum())
    return SoundNumbers(rms, peak, clipped, first, digest(samples.tobytes()).hexdigest())
