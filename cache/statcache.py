"""Remembers what was computed from a file until the file changes: content digests, code digests.

An entry holds while size, mtime, ctime and inode are as they were. A file younger than the clock's grain is not
remembered at all, as in git: it could change again within the same tick. The cache is local to the host, since inode
numbers and ctimes differ between machines that share a disk, and losing it costs time only: a damaged file counts
as empty.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from cache import digest
from cache.files import read_json, write_json

Trust = Literal["stat", "size+mtime", "content"]
GRAIN_NS = 2_000_000_000
_FORMAT = 1


class StatCache:
    """Values computed from files, kept in one JSON file per `name` below `folder`.

    trust: "stat" compares size, mtime, ctime and inode; "size+mtime" is for servers whose ctime moves by itself;
    "content" remembers nothing.
    """

    def __init__(self, folder: Path, name: str, trust: Trust = "stat") -> None:
        self._path = folder / f"{name}.json"
        self._trust = trust
        self._entries: dict[str, list[Any]] | None = None
        self._changed = False

    def get(self, path: Path | str, compute: Callable[[Path], Any]) -> Any:
        """`compute(path)`, or what it gave when the file was last as it is now. OSError if the file is absent.

        A plain string is quicker: making a `Path` takes longer than all else that is done for an unchanged file.
        """
        name = os.fspath(path)
        if not os.path.isabs(name):
            name = os.path.abspath(name)
        stamp = self._stamp(os.stat(name))
        entry = self._load().get(name)
        if self._trust != "content" and isinstance(entry, list) and entry[:1] == [stamp]:
            return entry[1]
        value = compute(Path(path))
        self._remember(name, stamp, value)
        return value

    def content(self, path: Path) -> str:
        """The content digest of a file."""
        value: str = self.get(path, digest.of_file)
        return value

    def save(self) -> None:
        """Write what is new. A folder that cannot be written to is no error: the next run computes again."""
        if not self._changed or self._entries is None:
            return
        try:
            write_json(self._path, {"format": _FORMAT, "files": self._entries}, compact=True)
        except OSError:
            return
        self._changed = False

    def _load(self) -> dict[str, list[Any]]:
        if self._entries is None:
            stored = read_json(self._path)
            valid = isinstance(stored, dict) and stored.get("format") == _FORMAT
            files = stored.get("files") if valid else None
            self._entries = files if isinstance(files, dict) else {}
        return self._entries

    def _stamp(self, stat: os.stat_result) -> list[int]:
        if self._trust == "size+mtime":
            return [stat.st_size, stat.st_mtime_ns]
        return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]

    def _remember(self, name: str, stamp: list[int], value: Any) -> None:
        entries = self._load()
        changed = stamp[1] if self._trust == "size+mtime" else stamp[2]  # a modification time can be set, even ahead
        if changed > time.time_ns() - GRAIN_NS or self._stamp(os.stat(name)) != stamp:
            self._changed |= entries.pop(name, None) is not None
            return
        entries[name] = [stamp, value]
        self._changed = True
