"""Asks the system for files that are soon needed, so that reading and computing overlap."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path

PIECE = 1 << 20
"""Bytes asked for at once. Linux cuts a single wish to what its device takes in one go, about as much."""


def read_ahead(files: Iterable[Path]) -> threading.Thread | None:
    """Start reading whole files into the page cache and return at once: a wish waits where the disk has many already,
    so that a thread makes them, which is returned. Where the system knows no such wish there is none, and where a file
    is missing, nothing happens: whoever reads it will say so."""
    if not hasattr(os, "posix_fadvise"):
        return None
    thread = threading.Thread(target=_ask_for, args=(list(files),), name="read ahead", daemon=True)
    thread.start()
    return thread


def _ask_for(files: Iterable[Path]) -> None:
    for file in files:
        try:
            handle = os.open(file, os.O_RDONLY)
        except OSError:
            continue
        try:
            for start in range(0, os.fstat(handle).st_size, PIECE):
                os.posix_fadvise(handle, start, PIECE, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(handle)
