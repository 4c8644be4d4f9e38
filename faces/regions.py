"""Regions of a mesh: lists of vertex indices in text files, as the field publishes them.

Indices are zero-based and separated by line ends, spaces or commas. Order and duplicates are kept: some networks have
an input per entry, and SelfTalk's lips hold four vertices twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.texts import read_text


def read_region(file: Path, vertices: int | None = None) -> NDArray[np.int64]:
    """(N,) int64 indices of a region file.

    vertices: V of the mesh that the region belongs to; an index outside 0 … V-1 is a DataError, as is a file that is
    absent, empty, or holds anything but whole numbers.
    """
    try:
        words = read_text(Path(file)).replace(",", " ").split()
        indices = np.array([int(word) for word in words], dtype=np.int64)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, OverflowError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file} is not a list of vertex indices ({error}); write one whole number per line") from error
    if not len(indices):
        raise DataError(f"{file} is an empty region; write one vertex index per line")
    check_region(indices, vertices, str(file))
    return indices


def check_region(indices: NDArray[np.integer], vertices: int | None, name: str) -> None:
    """DataError unless every index is one of a mesh's `vertices` (only not negative, where that is None)."""
    low, high = int(indices.min(initial=0)), int(indices.max(initial=-1))
    if low < 0:
        raise DataError(f"{name} holds the vertex index {low}; indices count from 0")
    if vertices is not None and high >= vertices:
        raise DataError(f"{name} names vertex {high} of a mesh of {vertices} vertices; use the region of this topology")


def write_region(file: Path, indices: Iterable[int]) -> Path:
    """Write one index per line, in the order given."""
    file = Path(file)
    file.write_text("".join(f"{int(index)}\n" for index in indices), encoding="ascii")
    return file
