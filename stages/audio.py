"""Sound in, 16 kHz mono out: what every speech encoder here is fed.

Any file libsndfile reads, at any rate, bit depth and channel count. Channels are averaged in NumPy (FFmpeg's down-mix
has another gain), the rate is changed with soxr HQ (what librosa >= 0.10 uses). Sound that no encoder can use raises
`DataError` with the file's name.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from faces.errors import DataError, said
from models.sound import SAMPLE_RATE, WINDOW, Wave
from stages.sound_file import NOT_SOUND, open_sound


def speech(path: Path) -> Wave:
    """Read a sound file: (N,) float32 at 16 kHz, mono, full scale ±1.

    Raises DataError for a file that is no sound, empty, shorter than one window, silent, or holds NaN or infinity.
    """
    samples, rate = _read(path)
    if not np.isfinite(samples).all():
        raise DataError(f"{path} holds samples that are not numbers (NaN or infinity): export the sound again")
    wave = to_16k(samples.mean(axis=1, dtype=np.float64), rate)
    if len(wave) < WINDOW:
        raise DataError(
            f"{path} is {1000 * len(samples) / rate:.1f} ms long and the speech encoder needs at least "
            f"{1000 * WINDOW // SAMPLE_RATE} ms: leave the clip out, or record it again"
        )
    if np.ptp(wave) == 0.0:
        raise DataError(f"{path} is silent, all its samples are equal: leave the clip out, or record it again")
    return wave


def _read(path: Path) -> tuple[NDArray[np.float32], int]:
    """(N, channels) float32 and the rate in Hz."""
    if not path.is_file():
        raise DataError(f"{path} is not there: give a wav, flac or ogg file")
    try:
        with open_sound(path) as sound:
            samples, rate = sound.read(dtype="float32", always_2d=True), sound.samplerate
    except NOT_SOUND as error:
        raise DataError(f"{path} cannot be read as sound ({said(error)}): convert it to wav, flac or ogg") from error
    if not len(samples):
        raise DataError(f"{path} is empty, it has no samples: leave the clip out, or record it again")
    return samples, int(rate)


def to_16k(wave: NDArray[np.floating], rate: float) -> Wave:
    """Change a mono wave's rate to 16 kHz with soxr HQ; (N,) in, float32 out."""
    if rate == SAMPLE_RATE:
        return wave.astype(np.float32)
    changed: Wave = soxr.resample(wave.astype(np.float32), rate, SAMPLE_RATE, quality="HQ")
    return changed
