"""FLAME parameters of one sequence: EMOTE's HDF5 file, or ProbTalk3D's array of shape, expression and jaw in a row.

`open_parameters` looks at names and sizes alone; `read` reads. Sizes are checked before memory is asked for, and an
HDF5 file that points outside itself is refused. Whatever is not as it should be is a `DataError` that names the file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faces.arrays import open_npy, read_header
from faces.errors import DataError, said
from faces.hdf5 import UNREADABLE, open_h5

Array = NDArray[np.float64]

WIDTHS = {"shape": 300, "exp": 100, "jaw": 3}
"""The parts, by EMOTE's names, in the order in which ProbTalk3D puts them side by side: 403 numbers a frame."""
PACKINGS = {1, 2, 3, 32000}
"""Filters of HDF5 that are read: gzip, the order of bytes, a check sum, lzf."""
MOST_FRAMES = 1 << 16
"""Three quarters of an hour; a sentence has a hundred."""


@dataclass(frozen=True)
class Parameters:
    """frames: T. read: part → (T, n) float64, of the parts that are named."""

    frames: int
    read: Callable[..., Mapping[str, Array]]


def open_parameters(file: Path) -> Parameters:
    """Open an .hdf5 or .npy file. DataError where it is not one of these parameters."""
    return _open_hdf5(file) if file.suffix.lower() in (".hdf5", ".h5") else _open_npy(file)


def _open_npy(file: Path) -> Parameters:
    header, width = read_header(file), sum(WIDTHS.values())
    frames = _frames(file, "array", header.shape, header.dtype, width)
    starts = dict(zip(WIDTHS, np.cumsum([0, *WIDTHS.values()]), strict=False))

    def read(*parts: str) -> Mapping[str, Array]:
        rows = open_npy(file).reshape(frames, width)
        return {part: _numbers(file, part, rows[:, starts[part] : starts[part] + WIDTHS[part]]) for part in parts}

    return Parameters(frames, read)


def _open_hdf5(file: Path) -> Parameters:
    with _opened(file) as stored:
        lengths = {part: _length(file, stored, part) for part in WIDTHS}
    if len(set(lengths.values())) > 1:
        raise DataError(f"{file} holds parts of {lengths} frames; copy it again")

    def read(*parts: str) -> Mapping[str, Array]:
        with _opened(file) as stored:
            return {part: _numbers(file, part, stored[part][()].reshape(-1, WIDTHS[part])) for part in parts}

    return Parameters(lengths["exp"], read)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    try:
        with open_h5(file) as stored:
            yield stored
    except DataError:
        raise
    except UNREADABLE as error:
        raise DataError(f"{file} cannot be read as HDF5 ({said(error)}); copy it again") from error


def _length(file: Path, stored: Any, part: str) -> int:
    """T of one dataset, of which nothing is read. It must lie in the file itself."""
    import h5py

    if not isinstance(stored.get(part, getlink=True), h5py.HardLink) or not isinstance(stored[part], h5py.Dataset):
        raise DataError(f"{file} has no array {part!r} in itself; it is no {', '.join(WIDTHS)} of EMOTE's")
    dataset = stored[part]
    if dataset.external or dataset.is_virtual:
        raise DataError(f"{file}, {part}, lies in other files; copy the data into one")
    frames = _frames(file, part, dataset.shape, dataset.dtype, WIDTHS[part])
    _check_packing(file, part, dataset)
    return frames


def _check_packing(file: Path, part: str, dataset: Any) -> None:
    """HDF5 unpacks a piece whole, and one may be declared much larger than the data in it."""
    told = dataset.id.get_create_plist()
    packings = {told.get_filter(k)[0] for k in range(told.get_nfilters())}
    if not packings <= PACKINGS or math.prod(dataset.chunks or ()) > MOST_FRAMES * WIDTHS[part]:
        raise DataError(f"{file}, {part}, is packed in an unusual way; write it anew, packed with gzip or not at all")


def _frames(file: Path, part: str, shape: tuple[int, ...], dtype: np.dtype[Any], width: int) -> int:
    """T of (1, T, width) or (T, width)."""
    plain = shape[1:] if len(shape) == 3 and shape[0] == 1 else shape
    if len(plain) != 2 or plain[1] != width or dtype.kind != "f":
        raise DataError(f"{file}, {part}, is {dtype} {shape}, not (1, frames, {width}) of FLAME parameters")
    if plain[0] > MOST_FRAMES:
        raise DataError(f"{file}, {part}, is of {plain[0]:,} frames; it is no sentence")
    return plain[0]


def _numbers(file: Path, part: str, rows: NDArray[Any]) -> Array:
    if not np.isfinite(rows).all():
        bad = int(np.argmax(~np.isfinite(rows).all(axis=1)))
        raise DataError(f"{file}, {part}, frame {bad}: NaN or infinity")
    return np.asarray(rows, np.float64)
