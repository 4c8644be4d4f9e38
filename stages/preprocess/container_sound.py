"""The sound of one sequence out of an .m4a, .mp4, .aac or .flv → 16-bit mono at its own rate, as `sound` has it of wav.

FFmpeg's decoders come with PyAV; pictures are not decoded. The format is that of the file's ending: told by content,
FFmpeg would take a playlist for a recording and open what it names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError, said
from faces.lfs import LFS_POINTER, refuse_pointer
from stages.preprocess.sound import Clip, Unusable, read_wav, to_clip
from stages.preprocess.sound_endings import CONTAINERS

LONGEST_S = 3600
"""A sentence takes seconds; a file that claims hours would fill the memory."""
UNREADABLE = (av.FFmpegError, ValueError, LookupError, ArithmeticError, RuntimeError)
"""What PyAV raises for damaged files: a stream that the header promises, and that is not there, is an IndexError."""
TIMED = ("mp4",)
"""Formats whose times count: sound that begins late is preceded by silence. Of the others samples are taken one after
the other from the first on, as a converter on the command line would write them."""


def read_sound(file: Path) -> Clip:
    """The sound of a file of any kind that is read, by its ending. Raises as `sound.read_wav` and `read_container`."""
    if file.is_file() and not file.stat().st_size:
        raise Unusable("its sound is empty")
    return read_container(file) if file.suffix.lower() in CONTAINERS else read_wav(file)


def read_container(file: Path) -> Clip:
    """The first soundtrack of a file, channels averaged.

    Raises:
        Unusable: it has no soundtrack, or as `sound.to_clip` does.
        DataError: the file is absent, damaged, of another format, or as `sound.to_clip` does; it names the file, and
            what to do is for the caller to add.
    """
    form = CONTAINERS[file.suffix.lower()]
    try:
        with open(file, "rb") as stream:
            refuse_pointer(file, stream.read(len(LFS_POINTER)))
        with av.open(str(file), format=form, options={"protocol_whitelist": "file"}) as container:
            if not container.streams.audio:
                raise Unusable("its recording has no sound")
            samples, rate = _decode(container, file, timed=form in TIMED)
    except OSError as error:  # FFmpeg's errors of input and output are among them
        raise DataError(f"{file} cannot be read as sound ({error.strerror or said(error)})") from error
    except UNREADABLE as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file} cannot be read as sound ({said(error)})") from error
    try:
        return to_clip(samples, rate)
    except DataError as error:
        raise DataError(f"{file}: {error}") from error


def _decode(container: Any, file: Path, *, timed: bool) -> tuple[NDArray[Any], int]:
    """(channels, N), and samples per second."""
    blocks, rates, count = list[NDArray[Any]](), set[int](), 0
    for frame in container.decode(audio=0):
        if timed and not blocks:
            blocks += _silence_before(frame)
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


def _silence_before(frame: Any) -> list[NDArray[Any]]:
    """What stands for the time before the first frame."""
    late = min(max(0.0, frame.time or 0.0), LONGEST_S)
    first = _samples(frame)
    return [np.zeros((len(first), round(late * frame.sample_rate)), first.dtype)]


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
