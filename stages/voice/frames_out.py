"""Where streamed frames go: raw to a pipe, or into an .npy file that grows and tells its length at the end."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from faces.errors import DataError

Frames = NDArray[np.float32]


class Out(Protocol):
    """Takes (n, V, 3) float32 as they are made."""

    def write(self, frames: Frames) -> None: ...


def _put(stream: BinaryIO, frames: Frames, name: str) -> None:
    """Written and flushed. DataError where there is no room."""
    try:
        stream.write(np.ascontiguousarray(frames, "<f4").tobytes())
        stream.flush()
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise DataError(f"{name} cannot be written ({error.strerror}): make room, or name another file") from None


class Pipe:
    """Raw little-endian float32, each block flushed, so that a reader has it at once."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, frames: Frames) -> None:
        _put(self._stream, frames, "standard output")


class NpyFile:
    """A context manager: (T, V, 3) float32, complete under its name once all went well, absent otherwise. Ctrl-C ends
    what is spoken, as a microphone has no other end: what was made until then is kept."""

    def __init__(self, file: Path, vertices: int) -> None:
        self._file, self._shape, self.frames = file, (vertices, 3), 0
        self._partial = file.with_name(f".{file.name}.{os.getpid()}.tmp")

    def __enter__(self) -> Self:
        if self._file.is_dir():
            raise DataError(f"{self._file} is a folder: name a file with --out")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._stream = open(self._partial, "wb")
        except OSError as error:
            raise DataError(
                f"{self._file} cannot be written ({error.strerror}): name another file with --out"
            ) from None
        self._write_header()
        return self

    def write(self, frames: Frames) -> None:
        _put(self._stream, frames, str(self._file))
        self.frames += len(frames)

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        whole = kind is None or (kind is KeyboardInterrupt and self.frames > 0)
        if whole:
            self._stream.seek(0)
            self._write_header()  # NumPy leaves room for more digits of the first axis
        self._stream.close()
        if whole:
            os.replace(self._partial, self._file)
        else:
            self._partial.unlink()

    def _write_header(self) -> None:
        facts = {"descr": "<f4", "fortran_order": False, "shape": (self.frames, *self._shape)}
        npy.write_array_header_1_0(self._stream, facts)
