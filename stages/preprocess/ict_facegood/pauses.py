"""Where a clip is cut into sentences: in the middle of its pauses, by the energy of the sound, frame by frame.

Nothing is drawn: equal sound and limits give equal cuts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.preprocess.sound import Clip

LOUD_PERCENTILE = 95.0
"""Of a clip's frames: what silence is measured against, so that neither a click nor the recording's gain counts."""
FLOOR = 1e-6
"""RMS of digital silence, as a share of full scale: -120 dB."""


@dataclass(frozen=True)
class Limits:
    """silence_db: below the loud frames. pause, shortest, longest: in frames."""

    silence_db: float
    pause: int
    shortest: int
    longest: int


def levels(clip: Clip, frames: int, fps: float) -> NDArray[np.float64]:
    """(T,): RMS of each frame's sound in dB against the clip's loud frames. After the end of sound is silence."""
    edges = sample_at(np.arange(frames + 1), clip.rate, fps)
    energy = np.concatenate([[0.0], np.cumsum(np.square(clip.samples / 32768.0))])
    edges = np.minimum(edges, len(clip.samples))
    mean = np.diff(energy[edges]) / np.maximum(np.diff(edges), 1)
    decibels = 20 * np.log10(np.maximum(np.sqrt(np.maximum(mean, 0)), FLOOR))
    return decibels - np.percentile(decibels, LOUD_PERCENTILE)


def sample_at(frames: NDArray[np.integer], rate: int, fps: float) -> NDArray[np.int64]:
    """Where in the sound frames begin."""
    return np.rint(frames * (rate / fps)).astype(np.int64)


def cut(level: NDArray[np.float64], limits: Limits) -> list[tuple[int, int]]:
    """Sentences as (first frame, end), without gaps: each ends at the first pause that makes it long enough.

    Where no pause comes in time, the quietest frame is cut at. What remains shorter than `longest` is not cut for a
    rest below `shortest`. limits.longest must be twice limits.shortest or more.
    """
    cuts, start, end = [0], 0, len(level)
    middles = _middles(level < limits.silence_db, limits.pause)
    while True:
        low, high = start + limits.shortest, min(start + limits.longest, end - limits.shortest)
        in_time = [middle for middle in middles if low <= middle <= high]
        if in_time:
            start = in_time[0]
        elif end - start > limits.longest:
            start = low + int(np.argmin(level[low : high + 1]))
        else:
            break
        cuts.append(start)
    return list(zip(cuts, [*cuts[1:], end], strict=True))


def _middles(quiet: NDArray[np.bool_], shortest: int) -> list[int]:
    """The middle frames of runs of silence, those at the clip's ends left out."""
    steps = np.diff(np.concatenate([[0], quiet.astype(np.int8), [0]]))
    begins, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    inside = (ends - begins >= shortest) & (begins > 0) & (ends < len(quiet))
    return ((begins + ends) // 2)[inside].tolist()
