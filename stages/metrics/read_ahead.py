"""Asks the system for files that are soon needed, so that reading and computing overlap."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

PIECE = 1 << 20
"""Bytes asked for at once. Linux cuts a single wish to what its device takes in one go, about as much."""


def read_ahead(files: Iterable[Path]) -> None:
    """Start reading whole files into the page cache and return at once. Where the system knows no such wish, or a file
    is missing, nothing happens: whoever reads it will say so."""
    advise = getattr(os, "posix_fadvise", None)
    if advise is None:
        return
    for file in files:
        try:
            handle = os.open(file, os.O_RDONLY)
        except OSError:
            continue
        try:
            for start in range(0, os.fstat(handle).st_size, PIECE):
                advise(handle, start, PIECE, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(handle)
