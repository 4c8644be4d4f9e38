"""What git-LFS leaves in the place of a file that was not fetched: a short text that points to it."""

from __future__ import annotations

from pathlib import Path

from faces.errors import DataError

LFS_POINTER = b"version https://git-lfs"


def refuse_pointer(file: Path, head: bytes) -> None:
    """Raise where `head`, the first bytes of `file`, are those of a git-LFS pointer instead of the data."""
    if head.startswith(LFS_POINTER):
        raise DataError(f"{file} is a git-LFS pointer, not the data itself; fetch it with `git lfs pull`")
