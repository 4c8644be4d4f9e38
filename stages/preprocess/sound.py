"""The sound of one sequence as raw data hold it → 16-bit mono at its own rate.

What cannot teach or drive a face (no samples, silence, less than one window of a speech encoder) is `Unusable`, to be
skipped and listed; what is damaged (NaN, another type) is a `DataError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from faces.errors import DataError
from stages.sound_file import NOT_SOUND, open_sound

WINDOW_S = 0.025
"""What the convolutions of wav2vec 2.0, HuBERT and WavLM need for one step."""
MOST_CHANNELS = 8
FULL_SCALE = 32767


class Unusable(Exception):
    """Why a sound cannot be used, as the end of the sentence "skipped: …"."""


@dataclass(frozen=True)
class Clip:
    """samples: (N,) int16, mono. rate: samples per second."""

    samples: NDArray[np.int16]
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


def to_clip(samples: NDArray[Any], rate: int) -> Clip:
    """Channels averaged, floats of ±1 (or in 16-bit units) and integers in 16-bit range turned into int16.

    Raises:
        Unusable: empty, silent or shorter than 25 ms.
        DataError: NaN or infinite samples, values beyond 16 bit, another type or shape, no rate.
    """
    samples = np.asarray(samples)
    if rate <= 0:
        raise DataError(f"a sample rate of {rate} Hz")
    if samples.dtype.kind not in "if" or samples.dtype.itemsize == 1:
        raise DataError(f"samples of type {samples.dtype}, neither 16-bit nor floating point")
    mono = _to_16_bit(_to_mono(samples))
    if len(mono) < WINDOW_S * rate:
        raise Unusable(
            "its sound is empty" if len(mono) == 0 else f"its sound is shorter than {WINDOW_S * 1000:.0f} ms"
        )
    if not mono.any():
        raise Unusable("its sound is silent")
    return Clip(mono, rate)


def read_wav(file: Path) -> Clip:
    """A sound file as `to_clip` has it. Samples of 16 bit are kept to the bit; what is beyond full scale is clipped.

    Raises:
        Unusable, DataError: as `to_clip` does, and DataError for a file that is no sound; it names the file, and what
            to do is for the caller to add.
    """
    try:
        with open_sound(file) as stream:
            samples = stream.read(dtype="int16" if stream.subtype == "PCM_16" else "float64")
            rate = stream.samplerate
    except NOT_SOUND as error:
        raise DataError(f"{file} cannot be read as sound ({error})") from error
    try:
        return to_clip(np.clip(samples, -1, 1) if samples.dtype.kind == "f" else samples, rate)
    except DataError as error:
        raise DataError(f"{file}: {error}") from error


def write_wav(file: Path, clip: Clip) -> Path:
    """Write 16-bit PCM."""
    soundfile.write(file, clip.samples, clip.rate, subtype="PCM_16", format="WAV")
    return file


def _to_mono(samples: NDArray[Any]) -> NDArray[Any]:
    if samples.ndim == 1:
        return samples
    if samples.ndim != 2 or min(samples.shape) > MOST_CHANNELS:
        raise DataError(f"samples of shape {samples.shape}, neither (samples,) nor (samples, channels)")
    mean: NDArray[Any] = samples.mean(axis=int(np.argmin(samples.shape)), dtype=np.float64)
    return mean if samples.dtype.kind == "f" else np.rint(mean).astype(samples.dtype)


def _to_16_bit(mono: NDArray[Any]) -> NDArray[np.int16]:
    if mono.dtype == np.int16 or mono.size == 0:
        return mono.astype(np.int16, copy=False)
    if not np.isfinite(mono).all():
        raise DataError("samples that are not numbers (NaN or infinity)")
    peak = float(np.abs(mono).max())
    if peak > FULL_SCALE + 1:
        raise DataError(f"samples up to {peak:g}, beyond 16 bit")
    scale = FULL_SCALE if mono.dtype.kind == "f" and peak <= 1.0 else 1
    rounded: NDArray[Any] = np.clip(np.rint(mono * scale), -FULL_SCALE - 1, FULL_SCALE)
    return rounded.astype(np.int16)
