"""Which parts of a store may go. Planning changes nothing; `cache.trash` does what a plan says.

Never in a plan: what a living process works on or is going to read, what is pinned or named as kept, and whatever was
made or used within the last hour. What cannot be told, the age of a file that vanished say, counts as a reason to stay.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from cache import lastuse, marks
from cache.lineage import Lineage
from cache.living import held
from cache.sizes import Part, Room, others
from cache.store import RECORD, Artifact, Store

FRESH_S = 2 * lastuse.FRESH_S
SCRAP_S = 86400
LEASE = ".lease.json"
OWN_LEASE = f"gc{LEASE}"
"""Held while a plan is carried out; a dead collector's is taken over by the next."""


@dataclass(frozen=True)
class Wishes:
    """What the user wants.

    keep: artifact → who needs it. older_than, leftovers: in seconds; the one of artifacts, by last use, the other of
    the quarantine and of abandoned work.
    """

    max_size: int | None = None
    older_than: float | None = None
    leftovers: float = 30 * 86400
    keep: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate:
    """Something that goes. what: "artifact", "quarantine", "work", "trash", "lease", "mark" or "scrap".

    size: the bytes that its going frees. used: its last use or change. seconds: what it took to make, None if unknown.
    first: artifacts that go too and would have to be made again before it. gone: inputs that the store lacks already.
    """

    path: Path
    name: str
    what: str
    why: str
    size: int
    used: float
    seconds: float | None = None
    first: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """goes: in the order of removal. kept: artifact → why it stays. before, after: bytes of the whole store."""

    goes: list[Candidate]
    kept: dict[str, str]
    before: int
    after: int


def plan(store: Store, wishes: Wishes, now: float | None = None) -> Plan:
    """What would go. Changes nothing."""
    return _Planner(store, wishes, time.time() if now is None else now).plan()


class _Planner:
    def __init__(self, store: Store, wishes: Wishes, now: float) -> None:
        self._store, self._wishes, self._now = store, wishes, now
        self._artifacts = {artifact.name: artifact for artifact in store.artifacts()}
        self._parts = {name: Part.of(artifact.path) for name, artifact in self._artifacts.items()}
        self._room = Room(self._parts.values())

    def plan(self) -> Plan:
        rest = [Part.of(path) for path in others(self._store)]
        for part in rest:
            self._room.add(part)
        before = self._room.total
        goes = [self._candidate(part, *found) for part in rest if (found := self._leftover(part))]
        kept = dict(self._kept())
        goes += self._too_old(kept)
        goes += self._too_large(kept, {candidate.name for candidate in goes})
        return Plan(self._with_sources(goes), kept, before, self._room.total)

    def _leftover(self, part: Part) -> tuple[str, str] | None:
        """What kind of leftover a part is and why it goes, or None where it stays."""
        path, folder = part.path, part.path.parent.name
        if folder == "trash":
            return "trash", "an earlier collection did not finish"
        if folder == "inuse" and path in set(marks.dead(self._store.root)):
            return "mark", "its process is dead"
        if path.name.endswith(".tmp"):
            return ("scrap", "an unfinished write") if self._age(part.changed) > SCRAP_S else None
        if folder == "work" and path.name.endswith(LEASE) and path.name != OWN_LEASE:
            stale = not held(path) and not path.with_name(path.name.removesuffix(LEASE)).exists()
            return ("lease", "its process is dead") if stale and self._age(part.changed) > FRESH_S else None
        limit = max(self._wishes.leftovers, FRESH_S)
        if folder == "quarantine" and (age := self._age(_moved(path))) > limit:
            return "quarantine", f"set aside {age / 86400:.0f} days ago"
        if folder == "work" and path.is_dir() and (age := self._age(part.changed)) > limit:
            return None if held(lease_of(path)) else ("work", f"abandoned {age / 86400:.0f} days ago")
        return None

    def _age(self, then: float) -> float:
        return self._now - then

    def _candidate(self, part: Part, what: str, why: str) -> Candidate:
        freed = self._room.remove(part)
        return Candidate(part.path, f"{part.path.parent.name}/{part.path.name}", what, why, freed, part.changed)

    def _kept(self) -> Iterator[tuple[str, str]]:
        reading, pinned = marks.in_use(self._store.root), marks.pinned(self._store.root)
        for name, artifact in self._artifacts.items():
            if name in pinned:
                yield name, "pinned"
            elif name in self._wishes.keep:
                yield name, f"needed by {self._wishes.keep[name]}"
            elif name in reading:
                yield name, f"read by {reading[name]}"
            elif held(self._store.work(artifact.path.parent.name, artifact.key).lease):
                yield name, "being made again"
            elif self._age(lastuse.of(artifact.path / RECORD)) < FRESH_S:
                yield name, "used within the last hour"

    def _by_use(self, kept: Mapping[str, str]) -> list[tuple[str, float]]:
        """(name, last use) of what may go: least recently used first, of equal hours what is quick to make again."""
        used = {name: lastuse.of(self._artifacts[name].path / RECORD) for name in self._artifacts.keys() - kept}
        return sorted(used.items(), key=lambda item: (item[1] // 3600, self._cost(item[0]), item[0]))

    def _cost(self, name: str) -> float:
        return (_seconds(self._artifacts[name]) or 0.0) / max(1, self._parts[name].size)

    def _too_old(self, kept: Mapping[str, str]) -> Iterator[Candidate]:
        for name, used in self._by_use(kept):
            limit = self._wishes.older_than
            if limit is not None and self._age(used) > limit:
                yield self._artifact(name, used, f"not used for {self._age(used) / 86400:.0f} days")

    def _too_large(self, kept: Mapping[str, str], gone: set[str]) -> Iterator[Candidate]:
        for name, used in self._by_use(kept):
            if self._wishes.max_size is None or self._room.total <= self._wishes.max_size:
                return
            if name not in gone:
                yield self._artifact(name, used, "least recently used")

    def _artifact(self, name: str, used: float, why: str) -> Candidate:
        artifact = self._artifacts[name]
        freed = self._room.remove(self._parts[name])
        return Candidate(artifact.path, name, "artifact", why, freed, used, _seconds(artifact))

    def _with_sources(self, goes: list[Candidate]) -> list[Candidate]:
        lineage, gone = Lineage(self._artifacts.values()), {candidate.name for candidate in goes}
        found = []
        for candidate in goes:
            artifact = self._artifacts.get(candidate.name) if candidate.what == "artifact" else None
            sources = lineage.sources(artifact) if artifact is not None else {}
            first = tuple(names[0] for names in sources.values() if names and not set(names) - gone)
            lost = tuple(slot for slot, names in sources.items() if not names)
            found.append(replace(candidate, first=first, gone=lost))
        return found


def _moved(path: Path) -> float:
    """When a folder was moved to the quarantine: a rename changes the inode, not the modification time."""
    try:
        found = os.lstat(path)
    except OSError:
        return time.time()
    return max(found.st_mtime, found.st_ctime)


def lease_of(work: Path) -> Path:
    """The lease of a work folder, or of an import's."""
    return work.with_name(f"{work.name}{LEASE}")


def _seconds(artifact: Artifact) -> float | None:
    seconds = artifact.record["provenance"].get("seconds")
    return float(seconds) if isinstance(seconds, int | float) else None
