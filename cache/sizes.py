"""How much room the parts of a store take. A file that several of them share, by a hard link, counts once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cache.store import OWN_FOLDERS, Store

Inode = tuple[int, int]


@dataclass
class Part:
    """A file or folder. own: bytes of files with one name only. shared: the others. changed: the newest time stamp."""

    path: Path
    own: int = 0
    shared: dict[Inode, int] = field(default_factory=dict)
    files: int = 0
    changed: float = 0.0

    @property
    def size(self) -> int:
        return self.own + sum(self.shared.values())

    @classmethod
    def of(cls, path: Path) -> Part:
        """Look at a file or folder; what vanishes meanwhile is not there."""
        part = cls(path)
        try:
            part._add(os.lstat(path))
        except OSError:
            return part
        if path.is_dir() and not path.is_symlink():
            part._walk(path)
        return part

    def _walk(self, folder: Path | str) -> None:
        try:
            with os.scandir(folder) as entries:
                found = [(entry, entry.stat(follow_symlinks=False)) for entry in entries]
        except OSError:
            return
        for entry, stat in found:
            self._add(stat)
            if entry.is_dir(follow_symlinks=False):
                self._walk(entry.path)

    def _add(self, stat: os.stat_result) -> None:
        self.changed = max(self.changed, stat.st_mtime)
        if stat.st_mode & 0o170000 == 0o040000:
            return
        self.files += 1
        if stat.st_nlink > 1:
            self.shared[stat.st_dev, stat.st_ino] = stat.st_size
        else:
            self.own += stat.st_size


class Room:
    """What some parts take together, and what taking one of them away frees."""

    def __init__(self, parts: Iterable[Part] = ()) -> None:
        self.total = 0
        self._names: Counter[Inode] = Counter()
        for part in parts:
            self.add(part)

    def add(self, part: Part) -> None:
        new = sum(size for inode, size in part.shared.items() if not self._names[inode])
        self._names.update(part.shared.keys())
        self.total += part.own + new

    def remove(self, part: Part) -> int:
        """Take a part away; returns the bytes that this frees."""
        self._names.subtract(part.shared.keys())
        freed = part.own + sum(size for inode, size in part.shared.items() if not self._names[inode])
        self.total -= freed
        return freed


def others(store: Store) -> Iterator[Path]:
    """All in a store that is no artifact: what is in its own folders, folders without a record, foreign files."""
    if not store.root.is_dir():
        return
    for path in sorted(store.root.iterdir()):
        if path.is_dir() and not path.is_symlink():
            own = path.name in OWN_FOLDERS
            yield from (inner for inner in sorted(path.iterdir()) if own or _is_no_artifact(inner))
        else:
            yield path


def _is_no_artifact(path: Path) -> bool:
    return "--" not in path.name or Store.at(path) is None
