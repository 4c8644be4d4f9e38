"""Reading text files that people write or programs leave: JSON, TOML, lists; bounded in size and depth.

OSError where a file cannot be read and ValueError where it is not what it should be, in words that the caller puts
into a sentence of its own: only it knows what the file was for and what to do.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from faces.lfs import LFS_POINTER, refuse_pointer

MOST_BYTES = 256 << 20


def read_text(file: Path, *, most: int = MOST_BYTES, encoding: str = "utf-8") -> str:
    """A whole text file. ValueError where it has more than `most` bytes, or is a git-LFS pointer."""
    with open(file, "rb") as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it has more than {most:,} bytes")
    refuse_pointer(file, content[: len(LFS_POINTER)])
    return content.decode(encoding)


def read_json(file: Path) -> Any:
    """What a JSON file holds."""
    try:
        return json.loads(read_text(file))
    except RecursionError:
        raise ValueError("its lists lie too deep in each other") from None


def read_toml(file: Path) -> dict[str, Any]:
    """The tables of a TOML file of at most 16 MB."""
    try:
        return tomllib.loads(read_text(file, most=16 << 20))
    except RecursionError:
        raise ValueError("its lists lie too deep in each other") from None
