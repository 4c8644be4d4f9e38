"""Reading pickles of NumPy arrays without letting them run code.

The field's data sets are pickles, many of them from Python 2. `load_pickle` rebuilds arrays, scalars and containers
and nothing else: every other name that a file asks for is refused before it is looked up, so that a data set can never
run code. Whatever cannot be read is a `DataError`.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy._core import multiarray, numeric

from faces.errors import DataError

LFS_POINTER = b"version https://git-lfs"


def load_pickle(file: Path, also: Mapping[tuple[str, str], Any] | None = None) -> Any:
    """Read one pickle of arrays and containers; Python-2 strings are taken as latin1.

    also: (module, name) → what stands in for a name that a format cannot do without. It must be harmless whatever
    the file calls it with: it is called by the file.

    Raises:
        DataError: the file is absent, cut short, no pickle, a git-LFS pointer, or asks for anything but arrays.
    """
    try:
        with open(file, "rb") as stream:
            head = stream.read(len(LFS_POINTER))
            stream.seek(0)
            refuse_pointer(file, head)
            return _ArrayUnpickler(stream, file, also or {}).load()
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from error
    except (EOFError, pickle.UnpicklingError) as error:
        raise DataError(f"{file} is cut short or is not a pickle ({error}); copy or download it again") from error
    except Exception as error:  # a damaged pickle can raise anything while it is rebuilt
        raise DataError(f"{file} is a damaged pickle ({error}); copy or download it again") from error


def refuse_pointer(file: Path, head: bytes) -> None:
    """Raise where `head`, the first bytes of `file`, are those of a git-LFS pointer instead of the data."""
    if head.startswith(LFS_POINTER):
        raise DataError(f"{file} is a git-LFS pointer, not the data itself; fetch it with `git lfs pull`")


def _latin1(text: str, encoding: str) -> bytes:
    """What protocol 2 calls to make bytes; the real `codecs.encode` would open every codec to the file."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


def _allowed() -> dict[tuple[str, str], Any]:
    table: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _latin1,
    }
    for core in ("numpy.core", "numpy._core"):
        table[core + ".multiarray", "_reconstruct"] = multiarray._reconstruct
        table[core + ".multiarray", "scalar"] = multiarray.scalar
        table[core + ".numeric", "_frombuffer"] = numeric._frombuffer  # type: ignore[attr-defined]
    for builtins in ("builtins", "__builtin__"):
        for kind in (dict, list, tuple, set, frozenset, int, float, complex, bool, str, bytes, bytearray):
            table[builtins, kind.__name__] = kind
        table[builtins, "long"] = int
        table[builtins, "unicode"] = str
    return table


class _ArrayUnpickler(pickle.Unpickler):
    arrays = _allowed()

    def __init__(self, stream: Any, file: Path, also: Mapping[tuple[str, str], Any]) -> None:
        super().__init__(stream, encoding="latin1")
        self.file, self.allowed = file, {**also, **self.arrays}

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self.allowed[module, name]
        except KeyError:
            raise DataError(
                f"{self.file} is refused: it asks for {module}.{name}, and a file of arrays has no business with that; "
                "use a copy that you trust to hold plain NumPy arrays"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise DataError(f"{self.file} is refused: it points to an object outside itself ({pid!r})")
