"""The sound of one sequence as an .flv video holds it → 16-bit mono at its own rate, as `sound` has it of wav files.

FFmpeg's decoders come with PyAV; pictures are not decoded. Samples are taken one after the other from the first on, as
a converter on the command line would write them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.safe_pickle import LFS_POINTER, refuse_pointer
from stages.preprocess.sound import Clip, Unusable, to_clip

LONGEST_S = 3600
"""A sentence takes seconds; a file that claims hours would fill the memory."""
UNREADABLE = (av.FFmpegError, ValueError, LookupError, ArithmeticError, RuntimeError)
"""What PyAV raises for damaged files: a stream that the header promises, and that is not there, is an IndexError."""


def read_video(file: Path) -> Clip:
    """The first soundtrack of a video, channels averaged.

    Raises:
        Unusable: it has no soundtrack, or as `sound.to_clip` does.
        DataError: the file is absent, damaged, no video, or as `sound.to_clip` does; it names the file, and what to do
            is for the caller to add.
    """
    try:
        with open(file, "rb") as stream:
            refuse_pointer(file, stream.read(len(LFS_POINTER)))
        # told by content, FFmpeg would take a playlist for a video and open what that names
        with av.open(str(file), format="flv", options={"protocol_whitelist": "file"}) as container:
            if not container.streams.audio:
                raise Unusable("its video has no sound")
            samples, rate = _decode(container, file)
    except OSError as error:  # FFmpeg's errors of input and output are among them
        raise DataError(f"{file} cannot be read as a video ({error.strerror or error})") from error
    except UNREADABLE as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file} cannot be read as a video ({error})") from error
    try:
        return to_clip(samples, rate)
    except DataError as error:
        raise DataError(f"{file}: {error}") from error


def _decode(container: Any, file: Path) -> tuple[NDArray[Any], int]:
    """(channels, N), and samples per second."""
    blocks, rates, count = list[NDArray[Any]](), set[int](), 0
    for frame in container.decode(audio=0):
        blocks.append(_samples(frame))
        rates.add(frame.sample_rate)
        count += blocks[-1].shape[1]
        if count > LONGEST_S * frame.sample_rate:
            raise DataError(f"{file} has more than an hour of sound, and is no sentence")
    shapes = {(block.shape[0], block.dtype) for block in blocks}
    if len(rates) > 1 or len(shapes) > 1:
        raise DataError(f"{file} changes its sample rate or its channels on the way")
    if not blocks:
        return np.empty((1, 0), np.int16), container.streams.audio[0].rate
    return np.concatenate(blocks, axis=1), rates.pop()


def _samples(frame: Any) -> NDArray[Any]:
    """(channels, N) int16, or float64 within ±1."""
    block = frame.to_ndarray()
    if not frame.format.is_planar:
        block = block.reshape(-1, frame.layout.nb_channels).T
    if block.dtype == np.uint8:
        return ((block.astype(np.int16) - 128) * 256).astype(np.int16)
    if block.dtype.kind == "i" and block.dtype.itemsize > 2:
        return np.asarray(block / -float(np.iinfo(block.dtype).min))
    return np.clip(block.astype(np.float64), -1, 1) if block.dtype.kind == "f" else block
