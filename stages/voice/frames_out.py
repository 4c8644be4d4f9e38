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


class Pipe:
    """Raw little-endian float32, each block flushed, so that a reader has it at once."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, frames: Frames) -> None:
        self._stream.write(np.ascontiguousarray(frames, "<f4").tobytes())
        self._stream.flush()


class NpyFile:
    """A context manager: (T, V, 3) float32, complete under its name once all went well, absent otherwise."""

    def __init__(self, file: Path, vertices: int) -> None:
        self._file, self._shape, self.frames = file, (vertices, 3), 0
        self._partial = file.with_name(f".{file.name}.{os.getpid()}.tmp")

    def __enter__(self) -> Self:
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
        self._stream.write(np.ascontiguousarray(frames, "<f4").tobytes())
        self.frames += len(frames)

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._stream.seek(0)
            self._write_header()  # NumPy leaves room for more digits of the first axis
        self._stream.close()
        if kind is None:
            os.replace(self._partial, self._file)
        else:
            self._partial.unlink()

    def _write_header(self) -> None:
        facts = {"descr": "<f4", "fortran_order": False, "shape": (self.frames, *self._shape)}
        npy.write_array_header_1_0(self._stream, facts)
