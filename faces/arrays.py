"""Reading .npy and .npz files: numbers, booleans and texts, never a pickle, and no larger than the file can hold.

A header is matched against the form that NumPy writes, rather than evaluated, and the size it declares is compared with
the file's before memory is asked for. A file that is absent, cut short, or of another kind is a `DataError`.
"""

from __future__ import annotations

import io
import math
import re
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from faces.archives import Archive
from faces.errors import DataError, said
from faces.lfs import LFS_POINTER, refuse_pointer

MAGIC = b"\x93NUMPY"
LENGTH_BYTES = {1: 2, 2: 4, 3: 4}
"""Version of the format → bytes of the header's length."""
LONGEST_HEADER = 1 << 16
MOST_AXES = 32
LONGEST_AXIS = 1 << 48
HEADER_BEGINS = 12
MOST_BYTES = 1 << 33
"""Of one array in an .npz; beyond it nobody would pack it."""
ENTRY = re.compile(
    r"""\s*(?:['"]descr['"]\s*:\s*['"](?P<descr>[<>|=]?[?A-Za-z]\d{0,9})['"]"""
    r"""|['"]fortran_order['"]\s*:\s*(?P<fortran>True|False)"""
    r"""|['"]shape['"]\s*:\s*\((?P<shape>[\d\sL,]{0,1000})\))\s*(?:,|$)\s*"""
)
KINDS = "biufcSU"


@dataclass(frozen=True)
class Header:
    """What an .npy file says of itself. offset: where the numbers begin, in bytes."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    offset: int

    @property
    def order(self) -> Literal["C", "F"]:
        return "F" if self.fortran else "C"

    @property
    def count(self) -> int:
        return math.prod(self.shape)


def read_header(path: Path) -> Header:
    """The header of an .npy file, checked against the size of the file."""
    try:
        with open(path, "rb") as stream:
            return _checked(str(path), stream, path.stat().st_size)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def read_npy(path: Path) -> NDArray[Any]:
    """The array in an .npy file, in memory and writable."""
    header = read_header(path)
    try:
        flat = np.fromfile(path, header.dtype, header.count, offset=header.offset)
        return checked_texts(flat).reshape(header.shape, order=header.order)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({said(error)}); copy or download it again") from error


def open_npy(path: Path) -> NDArray[Any]:
    """The array in an .npy file as a read-only memory map."""
    header = read_header(path)
    if not header.count:  # the system maps no empty range
        empty: NDArray[Any] = np.empty(header.shape, header.dtype)
        return empty
    try:
        return np.memmap(path, header.dtype, "r", header.offset, header.shape, header.order)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({said(error)}); copy or download it again") from error


def read_npz(path: Path, names: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
    """name → array of all that an .npz file holds, or of those of `names`, in its order, in memory."""
    with Archive.open(path) as archive:
        inside = {name: _array_name(path, name) for name in archive.names}
        wanted = [name for name in inside if names is None or inside[name] in names]
        return {inside[name]: _unpacked(path, name, archive.read(name, MOST_BYTES)) for name in wanted}


def npz_headers(path: Path) -> dict[str, Header]:
    """name → what each array in an .npz file says of itself, checked against its size; the arrays are not read."""
    with Archive.open(path) as archive:
        return {_array_name(path, name): _header_in(path, name, archive) for name in archive.names}


def _header_in(path: Path, name: str, archive: Archive) -> Header:
    head = archive.head(name, LONGEST_HEADER + HEADER_BEGINS)
    return _checked(f"{name} in {path}", io.BytesIO(head), archive.size(name))


def _array_name(path: Path, name: str) -> str:
    if not name.endswith(".npy"):
        raise DataError(f"{path} holds {name!r}, and an .npz file holds arrays only; give an .npz file")
    return name.removesuffix(".npy")


def _unpacked(path: Path, name: str, content: bytes) -> NDArray[Any]:
    header = _checked(f"{name} in {path}", io.BytesIO(content), len(content))
    flat = np.frombuffer(content, header.dtype, header.count, header.offset) if header.count else np.empty(0)
    try:
        return checked_texts(flat.astype(header.dtype)).reshape(header.shape, order=header.order)
    except ValueError as error:
        raise DataError(f"{name} in {path} cannot be read ({said(error)}); copy or download it again") from error


def checked_texts(flat: NDArray[Any]) -> NDArray[Any]:
    """(N,) as it is. ValueError for texts of what are no characters, at which Python's own strings give up."""
    if flat.dtype.kind == "U" and flat.nbytes:
        letters = flat.view(flat.dtype.str[0] + "u4")
        if int(letters.max()) > sys.maxunicode or ((letters >= 0xD800) & (letters < 0xE000)).any():
            raise ValueError("its texts are of what are no characters")
    return flat


def _checked(where: str, stream: BinaryIO, size: int) -> Header:
    """DataError unless the file is as long as its header says; what follows the array is left alone."""
    try:
        header = _parse(where, stream, size)
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{where} is not a NumPy .npy file ({said(error)}); copy or download it again") from error
    expected = header.offset + header.count * header.dtype.itemsize
    if size < expected:
        raise DataError(f"{where} is cut short: {size:,} of {expected:,} bytes; copy or download it again")
    return header


def _parse(where: str, stream: BinaryIO, size: int) -> Header:
    head = stream.read(len(LFS_POINTER))
    refuse_pointer(Path(where), head)
    if len(head) < 12:
        raise ValueError(f"it has {size} bytes")
    if not head.startswith(MAGIC) or head[6] not in LENGTH_BYTES:
        raise ValueError("it does not begin as one")
    bytes_ = LENGTH_BYTES[head[6]]
    length = int.from_bytes(head[8 : 8 + bytes_], "little")
    offset = 8 + bytes_ + length
    if length > LONGEST_HEADER or offset > size:
        raise ValueError("it ends inside its header" if offset > size else "its header is very long")
    stream.seek(8 + bytes_)
    facts = _facts(stream.read(length).decode("latin1"))
    dtype = _dtype(where, facts["descr"])
    return Header(_shape(facts["shape"], dtype.itemsize), dtype, facts["fortran"] == "True", offset)


def _facts(text: str) -> dict[str, str]:
    """The three entries of a header, in any order."""
    inside, facts = re.fullmatch(r"\s*\{(.*)\}\s*", text, re.DOTALL), dict[str, str]()
    rest = inside[1].rstrip() if inside else ""
    while rest and (entry := ENTRY.match(rest)):
        facts |= {key: value for key, value in entry.groupdict().items() if value is not None}
        rest = rest[entry.end() :]
    if rest or len(facts) < 3:
        raise ValueError("its header is damaged, or it holds records")
    return facts


def _dtype(where: str, text: str) -> np.dtype[Any]:
    kind = text.lstrip("<>|=")[0]
    if kind == "O":
        raise DataError(f"{where} holds Python objects, not numbers, and is not read; save it as an array of numbers")
    if kind not in KINDS and kind != "?":
        raise ValueError(f"it holds the type {text!r}")
    try:
        dtype = np.dtype(text)
    except (TypeError, ValueError):
        raise ValueError(f"it holds the type {text!r}") from None
    if not dtype.itemsize:
        raise ValueError("its elements have no size")
    return dtype


def _shape(text: str, itemsize: int) -> tuple[int, ...]:
    shape = tuple(int(length) for length in text.replace("L", "").replace(",", " ").split())
    if len(shape) > MOST_AXES or math.prod(max(length, 1) for length in shape) * itemsize >= LONGEST_AXIS:
        raise ValueError(f"its shape is {text[:80]}")
    return shape
