"""Which surfaces are measured against what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from faces.errors import DataError
from faces.ply import Mesh
from pipeline.errors import StageError
from stages.kinds.predictions import Item
from stages.kinds.sequences import Sequences
from stages.kinds.surfaces import Surfaces
from stages.metrics.choose import counted_conditions


@dataclass(frozen=True)
class Truth:
    """The true mesh of every frame: the data's, or surfaces of the same sentences."""

    data: Sequences
    surfaces: Surfaces | None = None

    def frames(self, name: str) -> int:
        """How many a sentence has."""
        return self.data.entry(name).frames if self.surfaces is None else self.surfaces.items[self._key(name)].frames

    def mesh(self, name: str, number: int) -> Mesh:
        if self.surfaces is not None:
            return self.surfaces.frame(self._key(name), number)
        return Mesh(self.data.vertices(name)[number], self.data.faces)

    def check(self, name: str) -> None:
        """DataError where a sentence has no truth."""
        if self.surfaces is None:
            self.data.check_motion(name)
        else:
            self._key(name)

    def _key(self, name: str) -> str:
        assert self.surfaces is not None
        found = [key for key, item in self.surfaces.items.items() if item.id == name]
        if len(found) != 1:
            many = "no surfaces" if not found else f"{len(found)} surfaces"
            raise DataError(
                f"{self.surfaces.path} has {many} of {name}, and a truth is one: make it without predictions"
            )
        return found[0]


@dataclass(frozen=True)
class Take:
    """One surface's sequence. counted: the mean holds it. frames: shared with the truth."""

    name: str
    item: Item
    counted: bool
    frames: int


@dataclass(frozen=True)
class Case:
    """One sentence with all surfaces of it."""

    id: str
    subject: str
    split: str
    takes: tuple[Take, ...]


def choose(data: Sequences, surfaces: Surfaces, truth: Truth, splits: Sequence[str]) -> list[Case]:
    """Sorted by sentence. DataError where surfaces do not belong to the data, StageError where there are none."""
    by_id: dict[str, list[str]] = {}
    for name, item in surfaces.items.items():
        if not splits or item.split in splits:
            by_id.setdefault(item.id, []).append(name)
    if not by_id:
        there = sorted({item.split for item in surfaces.items.values()})
        raise StageError(
            f"{surfaces.path} holds no surfaces of {', '.join(splits) or 'anything'} (it holds: {', '.join(there)})"
        )
    return [_case(data, surfaces, truth, name, sorted(keys)) for name, keys in sorted(by_id.items())]


def _case(data: Sequences, surfaces: Surfaces, truth: Truth, name: str, keys: Sequence[str]) -> Case:
    entry, items = data.entry(name), [surfaces.items[key] for key in keys]
    truth.check(name)
    counted, takes = counted_conditions(items), []
    for key, item in zip(keys, items, strict=True):
        if item.subject != entry.subject:
            raise DataError(
                f"{surfaces.path} shows {item.subject} in {key} and {data.path} has {entry.subject} there: use the "
                "sequences that the surfaces were made from"
            )
        frames = min(item.frames, truth.frames(name))
        takes.append(Take(key, item, item.condition in counted, frames))
    return Case(name, entry.subject, entry.split, tuple(takes))
