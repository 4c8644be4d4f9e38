"""Reading archives of arrays, `.npz`, whose sizes are looked at before memory is asked for."""

from __future__ import annotations

import zlib
from collections.abc import Container
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError


def read_npz(file: Path, limit: int, names: Container[str] | None = None) -> dict[str, NDArray[Any]]:
    """Name → array, of all that are in the archive or of `names`. Pickled objects are refused.

    limit: bytes that the arrays may take together. DataError for what is larger, damaged or no archive.
    """
    try:
        with ZipFile(file) as archive:
            members = [m for m in archive.infolist() if names is None or m.filename.removesuffix(".npy") in names]
        size = sum(member.file_size for member in members)
        if size > limit:
            raise DataError(f"{file} holds {size:,} bytes in arrays, more than {limit:,}: is it another file?")
        with np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files if names is None or name in names}
        for name in (name for name, array in found.items() if not isinstance(array, np.ndarray)):
            raise ValueError(f"{name} is no array")
        return found
    except DataError:
        raise
    except (OSError, ValueError, EOFError, KeyError, BadZipFile, zlib.error, NotImplementedError) as error:
        raise DataError(f"{file} cannot be read as an archive of arrays ({error}); copy or make it again") from error
