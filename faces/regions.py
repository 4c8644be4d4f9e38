"""Regions of a mesh: lists of vertex indices, in the forms in which the field hands them out.

Indices are zero-based. Order and duplicates are kept: some networks have an input per entry, and SelfTalk's lips hold
four vertices twice. A file is a text (indices separated by line ends, blanks or commas), a pickle or JSON (one list, or
a table of region → list), or an array (.npy).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError, said
from faces.texts import read_json, read_text

Regions = dict[str, NDArray[np.int64]]


def read_region(file: Path, vertices: int | None = None) -> NDArray[np.int64]:
    """(N,) int64 indices of a file that holds one region.

    vertices: V of the mesh that the region belongs to; an index outside 0 … V-1 is a DataError, as is a file that is
    absent, empty, holds several regions, or anything but whole numbers.
    """
    found = read_regions(file, vertices)
    if len(found) > 1:
        raise DataError(f"{file} holds the {len(found)} regions {', '.join(found)}; give a file of one region")
    return next(iter(found.values()))


def read_regions(file: Path, vertices: int | None = None, name: str = "") -> Regions:
    """Name → (N,) int64 indices: of a table by its names, sorted; of one list by `name`, or else the file's own."""
    file = Path(file)
    content = _content(file)
    if not isinstance(content, dict):
        return {name or file.stem: _indices(content, vertices, str(file))}
    if not content:
        raise DataError(f"{file} is an empty table of regions; take another copy")
    return {
        _checked_name(name, file): _indices(content[name], vertices, f"{file}, region {name}")
        for name in sorted(content, key=str)
    }


def _content(file: Path) -> Any:
    match file.suffix.lower():
        case ".pkl":
            from faces.safe_pickle import load_pickle

            return load_pickle(file)
        case ".npy":
            return _array(file)
        case ".json":
            return _json(file)
        case _:
            return _words(file)


def _array(file: Path) -> NDArray[Any]:
    from faces.arrays import open_npy

    return open_npy(file)


def _json(file: Path) -> Any:
    try:
        return read_json(file)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file} is not JSON ({said(error)}); write a list of vertex indices") from error


def _words(file: Path) -> list[int]:
    try:
        return [int(word) for word in read_text(file).replace(",", " ").split()]
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{file} is not a list of vertex indices ({said(error)}); write a whole number a line"
        ) from error


def _checked_name(name: Any, file: Path) -> str:
    """A name that a file may have."""
    if not re.fullmatch(r"[\w-][\w.-]*", str(name)):
        raise DataError(
            f"{file}, region {said(repr(name))}: a region's name may hold letters, digits, '_', '-' and '.'; rename it"
        )
    return str(name)


def _indices(values: Any, vertices: int | None, where: str) -> NDArray[np.int64]:
    if isinstance(values, list) and not values:
        raise DataError(f"{where} is an empty region; write one vertex index per line")
    try:
        array = np.asarray(values)
        if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu":
            raise ValueError(f"{array.dtype} {array.shape}")
        indices = array.astype(np.int64)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(f"{where} is not a list of vertex indices ({said(error)}); take another copy") from error
    check_region(indices, vertices, where)
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


def indices_digest(indices: NDArray[np.integer]) -> str:
    """The first 12 digits of the SHA-256 of indices in the order they stand in, one per line."""
    text = "".join(f"{int(index)}\n" for index in indices)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def region_digest(region: NDArray[np.integer], repeats: bool = False) -> str:
    """Tells regions apart: the digest of their indices in ascending order.

    repeats: a vertex that stands several times does so in the digest, for numbers in which it then weighs more.
    Otherwise each is written once, since the same vertices make the same number.
    """
    return indices_digest(np.sort(region) if repeats else np.unique(region))
