"""A raw array of all frames of all sequences, (N, V, 3), read a sequence at a time.

The file is memory-mapped read-only for one gather and the map is dropped again: mapped pages count as resident, and
a map that stays open grows to the size of the file. Everything that can be wrong with the file is a `DataError`
before the first frame is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.arrays import read_header
from faces.errors import DataError


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
        header = read_header(path)
        shape, dtype = header.shape, header.dtype
        if single and len(shape) == 2 and shape[1] == 3:
            shape = (1, *shape)
        if flat and len(shape) == 2 and shape[1] % 3 == 0:
            shape = (shape[0], shape[1] // 3, 3)
        if len(shape) != 3 or shape[2] != 3 or header.fortran:
            forms = "(frames, vertices, 3)" + (" or (frames, 3·vertices)" if flat else "")
            raise DataError(f"{path} has the shape {shape}; it must be {forms} in C order")
        if dtype.kind != "f" or dtype.itemsize < 4:
            raise DataError(f"{path} holds {dtype}; it must hold float32 or float64 positions")
        return cls(path, shape, dtype, header.offset)

    @property
    def frames(self) -> int:
        return self.shape[0]

    @property
    def vertices(self) -> int:
        return self.shape[1]

    def gather(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(T,) row numbers → (T, V, 3) float32, a copy."""
        if not self.frames or not self.vertices:  # the system maps no empty range
            return np.empty((len(rows), self.vertices, 3), np.float32)
        mapped = np.memmap(self.path, self.dtype, mode="r", offset=self.offset, shape=self.shape)
        return np.asarray(mapped[rows], dtype=np.float32)
