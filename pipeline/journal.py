"""Which items of a key are finished: a line each, written when the item's files are complete.

A killed process loses nothing that has its line. After a power cut a line can be on the disk without the files that it
speaks of; so files are brought to the disk every few seconds, a mark says up to which line, and a reader on another
boot, or on another machine, believes only what stands before the last mark. A line also counts only while all its
files have the sizes it says; a torn last line counts as absent.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cache.files import sync_files
from cache.manifest import Made
from cache.work import Work
from pipeline.errors import StageError

SYNC_INTERVAL_S = 5.0
OUT = "out/"


@dataclass(frozen=True)
class Finished:
    """One finished item. files: name below the work folder → size. key, late, known: as in `cache.manifest.Made`."""

    files: Mapping[str, int]
    key: str = ""
    late: str = ""
    known: Mapping[str, str] = field(default_factory=dict)

    def made(self, folder: Path) -> Made:
        """For the manifest, with `folder` the work folder."""
        inside = [name.removeprefix(OUT) for name in self.files if name.startswith(OUT)]
        elsewhere = {name: folder / name for name in self.files if not name.startswith(OUT)}
        return Made(self.key, inside, self.late, elsewhere, self.known)


def read(folder: Path) -> dict[str, Finished]:
    """`<unit>/<id>` → item, of the journal in a work folder; those alone whose files are there."""
    try:
        lines = (folder / "journal.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    found: dict[str, Finished] = {}
    for name, entry in _believed([_parsed(line) for line in lines]):
        if all(_is_there(folder / file, size) for file, size in entry.files.items()):
            found[name] = entry
        else:
            found.pop(name, None)
    return found


def _parsed(line: str) -> list[Any]:
    """A line that was written whole, else ["torn"]."""
    with contextlib.suppress(ValueError, TypeError):
        match json.loads(line):
            case ["boot", str()] | ["synced"] | ["item", str(), dict(), str(), str(), dict()] as whole:
                return list(whole)
    return ["torn"]


def _believed(lines: list[list[Any]]) -> Iterable[tuple[str, Finished]]:
    """The items among the lines. A mark is ["boot", id] (a process began to write) or ["synced"]."""
    boots = [number for number, line in enumerate(lines) if line[0] == "boot"]
    synced = max((number for number, line in enumerate(lines) if line[0] == "synced"), default=-1)
    here = _boot()
    # Lines of this boot count without a mark: all between the first of its processes and the end.
    ours = next((n for n in boots if here and all(lines[m][1] == here for m in boots if m >= n)), len(lines))
    for number, line in enumerate(lines):
        if line[0] == "item" and (number < synced or number > ours):
            yield line[1], Finished(*line[2:])


def _is_there(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _ends_torn(path: Path) -> bool:
    """Whether a killed process has left its last line without an end."""
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - 1))
        return size > 0 and stream.read() != b"\n"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class Journal:
    """The journal of one work folder, read once and then written to, by several threads if need be."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._synced = time.monotonic()
        self._unsynced: list[Path] = []
        self._begun = False
        self._lock = threading.Lock()
        self.finished = read(work.path)

    def done(
        self, name: str, files: Iterable[Path], *, key: str = "", late: str = "", known: Mapping[str, str] | None = None
    ) -> None:
        """Note an item as finished. StageError where it wrote outside its folder."""
        sizes = {os.path.relpath(path, self._work.path): os.stat(path).st_size for path in files}
        if outside := next((file for file in sizes if file.startswith("..")), ""):
            raise StageError(f"{name} was written outside its folder, to {outside}; is a name in the data a path?")
        self.add({name: Finished(sizes, key, late, known or {})})

    def add(self, entries: Mapping[str, Finished]) -> None:
        """Note several items at once."""
        with self._lock:
            boot: list[list[Any]] = [] if self._begun or not entries else [["boot", _boot()]]
            lines = [["item", name, e.files, e.key, e.late, e.known] for name, e in entries.items()]
            self._write([*boot, *lines])
            self._begun = self._begun or bool(entries)
            self._unsynced += [self._work.path / file for e in entries.values() for file in e.files if not e.known]
            self.finished |= entries
            # An fsync per item would cost more than most items.
            if entries and time.monotonic() - self._synced > SYNC_INTERVAL_S:
                self._sync()

    def forget(self) -> None:
        """Start the key from nothing, the stage's own saved state included."""
        self._work.journal.unlink(missing_ok=True)
        shutil.rmtree(self._work.state)
        self._work.state.mkdir()
        self.finished = {}

    def files(self, name: str) -> list[Path]:
        """Those of a finished item."""
        return [self._work.path / file for file in self.finished[name].files] if name in self.finished else []

    def items(self) -> dict[str, Made]:
        """Item id → what belongs to it, for the manifest."""
        return {name.partition("/")[2]: entry.made(self._work.path) for name, entry in self.finished.items()}

    def _sync(self) -> None:
        sync_files(self._unsynced)
        self._write([["synced"]], sync=True)
        self._unsynced, self._synced = [], time.monotonic()

    def _write(self, lines: list[list[Any]], *, sync: bool = False) -> None:
        with self._work.journal.open("a", encoding="utf-8") as stream:
            if lines and lines[0][0] == "boot" and _ends_torn(self._work.journal):
                stream.write("\n")
            stream.write("".join(json.dumps(line) + "\n" for line in lines))
            stream.flush()
            if sync:
                os.fsync(stream.fileno())
