"""What keeps an artifact from being tidied away, beside its last use: runs that are about to read it, a user's pin.

A run names what its later steps will read in `inuse/`; a mark whose process is dead counts for nothing, and a store
that cannot be written to goes without. A pin is a file in `pins/`. None of this touches the artifact.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cache import lastuse
from cache.errors import CacheError
from cache.files import read_json, replacing
from cache.living import lives, me

LONGEST_RUN_S = 14 * 86400
"""A mark of another host, whose processes cannot be asked for from here, holds for so long after its last change."""


class Reading:
    """The artifacts that a running process is going to read, told to others while the block lasts."""

    def __init__(self, root: Path) -> None:
        self._path = root / "inuse" / f"{me()['host']}-{os.getpid()}-{id(self):x}.json"
        self._names: set[str] = set()

    def add(self, names: Iterable[str]) -> None:
        """Name artifacts. A store that cannot be written to is not tidied either, so that is no error."""
        if (new := self._names | set(names)) == self._names:
            return
        self._names = new
        with contextlib.suppress(OSError), replacing(self._path) as temporary:
            temporary.write_text(json.dumps({"owner": me(), "artifacts": sorted(new)}), encoding="utf-8")

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def in_use(root: Path) -> dict[str, str]:
    """Artifact → the living process that is going to read it."""
    found: dict[str, str] = {}
    for path in sorted((root / "inuse").glob("*.json")):
        mark: Any = read_json(path)
        if _stands(path, mark):
            owner = mark["owner"]
            found |= dict.fromkeys(mark.get("artifacts", ()), f"process {owner['pid']} on {owner['host']}")
    return found


def dead(root: Path) -> Iterator[Path]:
    """Marks in `inuse/` that nobody stands behind any more."""
    for path in sorted((root / "inuse").glob("*.json")):
        if not _stands(path, read_json(path)) and path.exists():
            yield path


def _stands(path: Path, mark: Any) -> bool:
    if not isinstance(mark, dict) or not lives(mark.get("owner")):
        return False
    return bool(mark["owner"]["host"] == me()["host"]) or time.time() - lastuse.of(path) < LONGEST_RUN_S


def pin(root: Path, name: str) -> None:
    """Keep an artifact for good. CacheError where the store cannot be written to."""
    try:
        with replacing(_pin(root, name)) as temporary:
            temporary.write_text(json.dumps({"artifact": name}), encoding="utf-8")
    except OSError as error:
        raise CacheError(f"{root} cannot be written to ({error.strerror}), so {name} is not pinned") from error


def unpin(root: Path, name: str) -> bool:
    """Let an artifact go when its time comes. False where it was not pinned."""
    try:
        _pin(root, name).unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CacheError(f"the pin of {name} cannot be removed ({error.strerror}): {_pin(root, name)}") from error
    return True


def pinned(root: Path) -> set[str]:
    """The names of all pinned artifacts."""
    marks = [read_json(path) for path in (root / "pins").glob("*.json")]
    return {str(mark["artifact"]) for mark in marks if isinstance(mark, dict) and "artifact" in mark}


def _pin(root: Path, name: str) -> Path:
    return root / "pins" / f"{name.replace('/', '--')}.json"
