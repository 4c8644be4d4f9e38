"""The sound of a video: read, made mono at 48 kHz, and as long as the pictures.

AAC refuses VOCASET's 22,000 Hz, so every sound is resampled (soxr VHQ); channels are averaged here, since FFmpeg's
down-mix has another gain.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from faces.errors import DataError
from stages.sound_file import NOT_SOUND, open_sound

RATE = 48_000


def soundtrack(file: Path, seconds: Fraction) -> NDArray[np.float32]:
    """(N,) float32 at 48 kHz, cut to `seconds` or filled up with silence. DataError where the file is no sound."""
    try:
        with open_sound(file) as sound:
            samples, rate = sound.read(dtype="float32", always_2d=True), sound.samplerate
    except NOT_SOUND as error:
        raise DataError(f"{file} cannot be read as sound ({error}); make it again with preprocess") from error
    if not np.isfinite(samples).all():
        raise DataError(f"{file} holds samples that are not numbers (NaN or infinity): export the sound again")
    mono = samples.mean(axis=1, dtype=np.float64).astype(np.float32)
    wave = mono if rate == RATE or not len(mono) else soxr.resample(mono, rate, RATE, quality="VHQ")
    return _of_length(wave, round(seconds * RATE))


def _of_length(wave: NDArray[np.float32], samples: int) -> NDArray[np.float32]:
    track = np.zeros(samples, np.float32)
    kept = min(samples, len(wave))
    track[:kept] = wave[:kept]
    return track
