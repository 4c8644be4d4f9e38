"""What `check` looks at, whatever it is: a user's folder, a data set of a paper, or an artifact."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.ply import Mesh
from stages.datacheck.findings import Finding
from stages.preprocess.sound import Clip
from stages.preprocess.split_file import Splits

Name = tuple[str, str]
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Facts:
    """Of the whole. rate_place, model_place: what to call the file that states the rate, and the one that has the
    triangles. units, up, front: as the data are stored; "" where that is not said. model: None where it cannot be had.
    subjects: split → who should be in it. holding: the splits that a sequence is in, which should be one.
    """

    fps: float
    rate_place: str
    units: str
    up: str
    front: str
    model: Mesh | None
    model_place: str
    subjects: Mapping[str, Sequence[str]]
    holding: Callable[[Name], Sequence[str]]
    splits_place: str
    regions: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)


def by_rule(splits: Splits) -> Callable[[Name], Sequence[str]]:
    """`Facts.holding` of a split file."""
    return lambda name: [split for split, part in splits.parts.items() if part.holds(*name)]


class Reader(Protocol):
    """The frames of one sequence, of which some are read at a time."""

    @property
    def frames(self) -> int: ...
    def read(self, rows: range) -> Array:
        """(len(rows), V, 3) as stored. DataError where they are damaged."""
        ...


@dataclass(frozen=True)
class Held:
    """Frames that are in memory, or a map of them."""

    array: Array

    @property
    def frames(self) -> int:
        return len(self.array)

    def read(self, rows: range) -> Array:
        return np.array(self.array[rows.start : rows.stop])


class Corpus(Protocol):
    """names: those with motion, with sound, or both. One thread for each sequence may read at a time."""

    facts: Facts
    names: Sequence[Name]

    def problems(self) -> Iterable[Finding]:
        """What was found on the way to it."""
        ...

    def place(self, name: Name) -> str:
        """What to call a sequence's motion."""
        ...

    def frame_place(self, name: Name, frame: int) -> tuple[str, int | None]:
        """The same for one of its frames, and the number that is to be told with it."""
        ...

    def motion(self, name: Name) -> tuple[Reader | None, list[Finding]]:
        """None where there is none to be had; and why, or what else the file shows."""
        ...

    def unreadable(self, name: Name, error: DataError) -> Finding:
        """What an error while reading says of a sequence's motion."""
        ...

    def sound_place(self, name: Name) -> str: ...

    def sound(self, name: Name) -> tuple[Clip | None, list[Finding]]:
        """The same of its sound."""
        ...


def shown(path: Path, root: Path) -> str:
    """As short as it can be said."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def told(error: Exception, root: Path, *strip: Any) -> tuple[str, str]:
    """An error's sentence as (what, mend), without the paths that the line begins with anyway."""
    text = str(error)
    for path in strip:
        text = text.removeprefix(str(path)).lstrip(" :,")
    text = text.replace(f"{root}/", "")
    what, _, mend = text.partition("; ")
    return what, mend or "see to that file"
