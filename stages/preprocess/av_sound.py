"""The sound of files that libsndfile does not read: .m4a, and what else PyAV takes out of a container."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from stages.preprocess.av_endings import PLAIN
from stages.preprocess.sound import Clip, read_wav, to_clip

LONGEST_S = 3600.0
"""A sentence takes seconds; a file that unpacks to more than an hour is another thing."""


def read_sound(file: Path) -> Clip:
    """A sound file of any of `av_endings.ENDINGS`, as `sound.read_wav` has it."""
    return read_wav(file) if file.suffix.lower() in PLAIN else _read_container(file)


def _read_container(file: Path) -> Clip:
    import av

    try:
        with av.open(str(file)) as container:
            if not container.streams.audio:
                raise DataError(f"{file} has no sound in it; take another copy of it")
            samples, rate = _decode(container, file)
    except (av.FFmpegError, ValueError, OSError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file} cannot be read as sound ({error})") from error
    try:
        return to_clip(np.clip(samples, -1, 1), rate)
    except DataError as error:
        raise DataError(f"{file}: {error}") from error


def _decode(container: object, file: Path) -> tuple[NDArray[np.float32], int]:
    """(channels, N) at the file's own rate; what begins late is preceded by silence."""
    import av

    resampler = av.AudioResampler(format="fltp")  # planes of floats, rate and channels as they are
    pieces, rate, total = list[NDArray[np.float32]](), 0, 0
    for frame in container.decode(audio=0):  # type: ignore[attr-defined]
        if not rate:
            rate = frame.sample_rate
            late = round(max(0.0, frame.time or 0.0) * rate)
            pieces.append(np.zeros((len(frame.layout.channels), min(late, int(LONGEST_S * rate))), np.float32))
        pieces += [piece.to_ndarray().astype(np.float32) for piece in resampler.resample(frame)]
        total += frame.samples
        if total > LONGEST_S * rate:
            raise DataError(f"{file} holds more than an hour of sound; it is no sentence")
    return (np.concatenate(pieces, axis=1), rate) if pieces else (np.zeros((1, 0), np.float32), rate or 1)
