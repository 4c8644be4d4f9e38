"""Digests of bytes, files and JSON. blake3, or sha256 where its wheel is absent; a digest names its algorithm.

Digests are written "b3:…" or "s2:…" with 128 bits in hexadecimal: enough to name content that nobody forges on
purpose and short enough to read. The same content always has the same digest on every machine that has blake3.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

try:
    from blake3 import blake3 as _blake3
except ImportError:  # a platform without the wheel: slower, still correct
    _blake3 = None  # type: ignore[assignment,misc]

CHUNK = 1 << 20
_DIGITS = 32


class Hasher(Protocol):
    """What `hashlib` and `blake3` objects have in common."""

    def update(self, data: bytes, /) -> Any: ...
    def hexdigest(self) -> str: ...


PREFIX = "b3:" if _blake3 is not None else "s2:"


def hasher() -> Hasher:
    """A fresh hash object of the preferred algorithm."""
    return _blake3() if _blake3 is not None else hashlib.sha256()


def finish(hash_: Hasher) -> str:
    """The printable digest of what a hasher has seen."""
    return PREFIX + hash_.hexdigest()[:_DIGITS]


def of_bytes(data: bytes) -> str:
    """The digest of some bytes."""
    hash_ = hasher()
    hash_.update(data)
    return finish(hash_)


def of_file(path: Path) -> str:
    """The digest of a file's content, read in one-megabyte pieces."""
    hash_ = hasher()
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(CHUNK):
            hash_.update(chunk)
    return finish(hash_)


def canonical(value: Any) -> str:
    """JSON with one spelling only: sorted keys, no spaces, no NaN. Equal values give equal text on every Python."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def of_json(value: Any) -> str:
    """The digest of a value's canonical JSON."""
    return of_bytes(canonical(value).encode())


def of_tree(files: Mapping[str, str]) -> str:
    """The digest of a set of files, given as relative name → content digest."""
    return of_json(["tree", sorted(files.items())])


def short(digest: str, digits: int = 8) -> str:
    """The first digits of a digest, for names and messages."""
    return digest.partition(":")[2][:digits]
