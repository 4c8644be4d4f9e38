"""Reading `.npz` archives of arrays: no pickles, and no more memory than the sizes that the archive itself states."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from faces.errors import DataError
from faces.safe_pickle import refuse_pointer

MOST_BYTES = 1 << 33
MOST_RATIO = 1000
"""How much a member may be larger than in the archive, beyond the first GIB bytes of it: zeros reach about as much."""
GIB = 1 << 30


def npz_headers(file: Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """name → (shape, type) of all arrays, without reading them. DataError as `read_npz` has it."""
    return {name: (shape, dtype) for name, shape, dtype, _ in _each(file, None, headers=True)}


def read_npz(file: Path, names: set[str] | None = None) -> dict[str, NDArray[Any]]:
    """name → array, all of them or those of `names`.

    Raises:
        DataError: absent, no archive, cut short, of objects (which would be a pickle), or out of all proportion.
    """
    return {name: array for name, _, _, array in _each(file, names) if array is not None}


def _each(
    file: Path, names: set[str] | None, *, headers: bool = False
) -> list[tuple[str, tuple[int, ...], np.dtype, NDArray[Any] | None]]:
    try:
        with open(file, "rb") as stream:
            refuse_pointer(file, stream.read(64))
        with zipfile.ZipFile(file) as archive:
            wanted = [entry for entry in archive.infolist() if names is None or _name(entry.filename) in names]
            return [_member(file, archive, entry, headers=headers) for entry in wanted]
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{file} is no whole .npz archive of arrays ({error}); copy or make it again") from error


def _name(member: str) -> str:
    return member.removesuffix(".npy")


def _member(
    file: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, *, headers: bool
) -> tuple[str, tuple[int, ...], np.dtype, NDArray[Any] | None]:
    where = f"{file}, {_name(entry.filename)}"
    if entry.file_size > MOST_BYTES or entry.file_size > GIB + MOST_RATIO * entry.compress_size:
        raise DataError(f"{where}, would take {entry.file_size:,} bytes and is {entry.compress_size:,}; not unpacked")
    with archive.open(entry) as stream:
        shape, fortran, dtype = _header(where, stream)
        needed = int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize
        if needed > entry.file_size:
            raise DataError(f"{where}, is cut short: {entry.file_size:,} of {needed:,} bytes; make the archive again")
        if headers:
            return _name(entry.filename), shape, dtype, None
        content = stream.read(needed)
    if len(content) < needed:
        raise DataError(f"{where}, is cut short: {len(content):,} of {needed:,} bytes; make the archive again")
    array = np.ndarray(shape, dtype, content, order="F" if fortran else "C")
    return _name(entry.filename), shape, dtype, array


def _header(where: str, stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.hasobject:
        raise DataError(f"{where}, holds Python objects (a pickle), which are not read; save plain arrays")
    return shape, fortran, dtype
