"""What a file that cannot be read is instead, from its first bytes and its size."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from faces.lfs import LFS_POINTER

Diagnosis = tuple[str, str, str]
"""code, what, mend"""

AGAIN = "copy or download it again"
SAVE = "load it where it was made and save plain arrays: np.save(file, array, allow_pickle=False)"
OLD_PICKLES = (b"(", b"c", b"]", b"}")
"""How pickles of protocol 0 and 1, Python 2's own, begin."""
UNTOLD = (0, 0xFFFFFFFF, 0xFFFFFFFF - 8)
"""Sizes that programs write which do not know yet how long a sound will be."""


def diagnose(path: Path) -> Diagnosis | None:
    """None where the bytes say nothing in particular."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as stream:
            head = stream.read(4096)
    except OSError:
        return None
    if not size:
        return "EMPTY", "the file is empty", AGAIN
    if head.startswith(LFS_POINTER):
        return "LFS", "a git-LFS pointer, not the data itself", "fetch it with `git lfs pull`"
    if head.lstrip()[:9].lower() in (b"<!doctype", b"<html>") or head.lstrip()[:5].lower() == b"<html":
        return "UNREADABLE", "a web page, not the data (a download that wanted a login?)", AGAIN
    if head.startswith(npy.MAGIC_PREFIX):
        return _array(path, size)
    if head.startswith(b"PK"):
        return _archive(path)
    if head[:4] == b"RIFF":
        return _wav(head, size)
    return _pickle(head) if path.suffix.lower() in (".npy", ".npz", ".pkl", ".pickle") else None


def _array(path: Path, size: int) -> Diagnosis | None:
    try:
        with open(path, "rb") as stream:
            version = npy.read_magic(stream)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = read(stream)
            start = stream.tell()
    except ValueError:
        return "TRUNCATED", f"an array whose header is damaged ({size:,} bytes)", AGAIN
    if dtype.hasobject:
        return "PICKLE", "an array of Python objects, which is a pickle and is not read", SAVE
    needed = start + int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize
    if size < needed:
        return "TRUNCATED", f"cut short: {size:,} of {needed:,} bytes", AGAIN
    return None


def _archive(path: Path) -> Diagnosis | None:
    if not zipfile.is_zipfile(path):
        return "TRUNCATED", "an archive without its end", AGAIN
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip() if sum(entry.file_size for entry in archive.infolist()) < 1 << 30 else None
    except Exception as error:  # a damaged archive raises what zlib and struct raise
        return "TRUNCATED", f"a damaged archive ({error})", AGAIN
    return ("TRUNCATED", f"a damaged archive: {bad} is not what it was", AGAIN) if bad else None


def _wav(head: bytes, size: int) -> Diagnosis | None:
    told = struct.unpack_from("<I", head, 4)[0] if len(head) >= 8 else 0
    if told in UNTOLD or told + 8 <= size:
        return None
    return "TRUNCATED", f"cut short: {size:,} of {told + 8:,} bytes", AGAIN


def _pickle(head: bytes) -> Diagnosis | None:
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        by = "of Python 2 or 3" if head[1] == 2 else "of Python 3"
        return "PICKLE", f"a pickle {by}, not a NumPy file", SAVE
    if head[:1] in OLD_PICKLES and b"\n" in head:
        return "PICKLE", "a pickle of Python 2, not a NumPy file", SAVE
    return None
