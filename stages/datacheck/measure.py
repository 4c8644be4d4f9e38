"""The numbers that the motion and the sound of one sequence come to, in one pass over each.

Frames are looked at a few at a time, so that all passes over them stay in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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


@dataclass
class MotionNumbers:
    """bad: (frame, vertex) of the first value that is no number, and in how many frames there is one. jumps: (T,) the
    greatest second difference of any coordinate, which one vertex alone can make. steps: (T,) by how much the middle of
    all vertices moved since the frame before. moved: the greatest step of any coordinate. first: (V, 3), of the first
    frame that is whole. digest: of all values.
    """

    jumps: NDArray[np.float64]
    steps: NDArray[np.float64]
    bad: tuple[int, int] | None = None
    bad_frames: int = 0
    moved: float = 0.0
    first: Array | None = None
    digest: str = ""


def measure_motion(spans: Iterable[Array], count: int) -> MotionNumbers:
    """spans: one after the other they are the (T, V, 3) of a sequence of `count` frames."""
    numbers = MotionNumbers(np.zeros(count), np.zeros(count))
    hasher, start, before = digest(), 0, None
    for block in _blocks(spans):
        hasher.update(block.view(np.uint8).data)
        if np.isfinite(block).all():
            if numbers.first is None:
                numbers.first = block[0].reshape(-1, 3).copy()
            joined = block if before is None else np.concatenate([before, block])
            with np.errstate(invalid="ignore"):  # of a damaged frame before
                _differences(numbers, joined, start + len(block))
        else:
            _note_bad(numbers, ~np.isfinite(block), start)
        start, before = (
            start + len(block),
            block[-2:] if len(block) > 1 or before is None else np.stack([before[-1], block[-1]]),
        )
    numbers.digest = hasher.hexdigest()
    return numbers


def _blocks(spans: Iterable[Array]) -> Iterator[Array]:
    """(n, 3 V), a few frames each."""
    for span in spans:
        flat = np.ascontiguousarray(span).reshape(len(span), -1)
        yield from (flat[start : start + BLOCK] for start in range(0, len(flat), BLOCK))


def _differences(numbers: MotionNumbers, rows: Array, end: int) -> None:
    """rows: up to the frame before `end`; the first two are known already."""
    if len(rows) < 2:
        return
    first = np.diff(rows, axis=0)
    numbers.moved = max(numbers.moved, float(np.nanmax(first)), -float(np.nanmin(first)))
    points = first.reshape(len(first), -1, 3)
    mean = np.full(points.shape[1], 1 / points.shape[1], np.float32)
    middle = np.matmul(mean, points)  # twenty times as fast as their mean
    _into(numbers.steps, end, np.linalg.norm(middle, axis=1))
    if len(first) > 1:
        _into(numbers.jumps, end - 1, np.abs(np.diff(first, axis=0)).max(axis=1))


def _into(values: NDArray[np.float64], end: int, found: NDArray[np.floating]) -> None:
    values[end - len(found) : end] = np.nan_to_num(found)


def _note_bad(numbers: MotionNumbers, wrong: NDArray[np.bool_], start: int) -> None:
    rows = np.flatnonzero(wrong.any(axis=1))
    numbers.bad_frames += len(rows)
    numbers.bad = numbers.bad or (start + int(rows[0]), int(np.argmax(wrong[rows[0]])) // 3)


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
