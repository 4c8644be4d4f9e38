"""A raw array of all frames of all sequences, (N, V, 3), read a sequence at a time.

The file is memory-mapped read-only for one gather and the map is dropped again: mapped pages count as resident, and
a map that stays open grows to the size of the file. Everything that can be wrong with the file is a `DataError`
before the first frame is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from faces.errors import DataError
from faces.safe_pickle import LFS_POINTER, refuse_pointer


@dataclass(frozen=True)
class VertexFile:
    """path: an .npy file. shape: (N, V, 3). dtype: float32 or float64. offset: bytes of its header."""

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype
    offset: int

    @classmethod
    def open(cls, path: Path, *, flat: bool = False, single: bool = False) -> VertexFile:
        """Read the header and check it against what the file holds; reads no frame. flat: (N, 3 V) will do too.
        single: (V, 3) is one frame.
        """
        shape, fortran, dtype, offset = _read_header(path)
        if single and len(shape) == 2 and shape[1] == 3:
            shape = (1, *shape)
        if flat and len(shape) == 2 and shape[1] % 3 == 0:
            shape = (shape[0], shape[1] // 3, 3)
        if len(shape) != 3 or shape[2] != 3 or fortran:
            raise DataError(f"{path} has the shape {shape}; it must be (frames, vertices, 3) in C order")
        if dtype.kind != "f" or dtype.itemsize < 4:
            raise DataError(f"{path} holds {dtype}; it must hold float32 or float64 positions")
        expected, found = offset + int(np.prod(shape)) * dtype.itemsize, path.stat().st_size
        if found < expected:
            raise DataError(f"{path} is cut short: {found:,} of {expected:,} bytes; copy or download it again")
        return cls(path, shape, dtype, offset)

    @property
    def frames(self) -> int:
        return self.shape[0]

    @property
    def vertices(self) -> int:
        return self.shape[1]

    def gather(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(T,) row numbers → (T, V, 3) float32, a copy."""
        mapped = np.memmap(self.path, self.dtype, mode="r", offset=self.offset, shape=self.shape)
        return np.asarray(mapped[rows], dtype=np.float32)


def _read_header(path: Path) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    try:
        with open(path, "rb") as stream:
            refuse_pointer(path, stream.read(len(LFS_POINTER)))
            stream.seek(0)
            version = npy.read_magic(stream)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, dtype = read(stream)
            return shape, fortran, dtype, stream.tell()
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{path} is not a NumPy .npy file ({error}); copy or download it again") from error
