"""The regions that a report looks at: from the data set, or from a file of the user's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.lip_vertices import FLAME, KNOWN, LIP_PARTS, lip_middles
from faces.metrics_definitions import LIP_MIDDLE, OPENING, Definition
from faces.metrics_parts import Parts
from faces.region_registry import Found, identify
from faces.regions import check_region, read_region, region_digest
from pipeline.errors import StageError
from pipeline.registry import nearest
from stages.kinds.sequences import Sequences
from stages.metrics import LIPS, UPPER_FACE, Params

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Region:
    """A named set of vertices, and what identifies it in a report. published: what it is by the table of regions."""

    name: str
    indices: Indices
    published: Found

    def facts(self, repeats: bool) -> dict[str, object]:
        """vertices: entries as stored. published: the set by whose numbers these can be compared, "" for none.
        repeats: whether a vertex that stands twice makes another number.
        """
        return {
            "name": self.name,
            "vertices": len(self.indices),
            "sha256": region_digest(self.indices, repeats),
            "published": self.published.id(repeats),
        }

    def caption(self, repeats: bool) -> str:
        """What stands beside a number: "lips 91fa88a94db6 (254 entries, 250 different; flame-masks/lips)"."""
        parts = filter(None, (self.published.size, self.published.id(repeats)))
        return f"{self.name} {region_digest(self.indices, repeats)} ({'; '.join(parts)})"


@dataclass(frozen=True)
class Regions:
    """Those that there are. notes: a sentence for each that is missing, with what to set."""

    found: Mapping[str, Region]
    notes: tuple[str, ...]

    def __getitem__(self, name: str) -> Indices:
        return self.found[name].indices

    def facts(self, definition: Definition) -> list[dict[str, object]]:
        """What identifies the regions that a definition looks at."""
        return [region.facts(definition.repeats) for region in self._of(definition)]

    def caption(self, definition: Definition) -> str:
        """Name and digest of the regions that a number is over, "" where it is over all vertices."""
        return " and ".join(region.caption(definition.repeats) for region in self._of(definition))

    def captions(self, definitions: Iterable[Definition]) -> dict[str, str]:
        """Role → caption, of what the definitions look at; the first of them says how a region is counted."""
        found: dict[str, str] = {}
        for definition in definitions:
            if definition.role:
                found.setdefault(definition.role, self.caption(definition))
        return found

    def _of(self, definition: Definition) -> list[Region]:
        role = definition.role
        names = LIP_PARTS if role == OPENING else (role,) if role else ()
        return [self.found[name] for name in names]

    def parts(self, data: Sequences) -> Parts:
        indices = {name: region.indices for name, region in self.found.items()}
        return Parts(data.info.vertices, up=data.info.up_axis, **indices)


NO_REGIONS = Regions({}, ())
"""Of predictions that are no vertices."""


def find_regions(data: Sequences, params: Params) -> Regions:
    """All regions of a report.

    A name that is not among the data's regions is an error. Where the data have none, or lack a default one, a note
    says so and the report goes without: the mean vertex error needs no region.
    """
    found: dict[str, Region] = {}
    notes: list[str] = []
    for role, name, file, measures in (
        (LIPS, params.lips, params.lips_file, "LVE and LVD"),
        (UPPER_FACE, params.upper_face, params.upper_face_file, "FDD"),
    ):
        region = _from_file(Path(file), data) if file else _from_data(data, name)
        if region is not None:
            found[role] = region
            continue
        sentence = f"{_missing(data, name)}; set {role} to one of them, or {role}_file to a file of vertex indices"
        if name != role and data.region_names:
            raise StageError(sentence + nearest(name, data.region_names))
        notes.append(f"no {measures}: {sentence}")
    lips = [region.indices for region in (found.get(LIPS), _from_data(data, LIPS)) if region is not None]
    opening = _lip_parts(data, lips)
    if not opening:
        notes.append(_no_opening(data))
    return Regions(found | opening | _lip_middle(data, lips), tuple(notes))


def _lip_parts(data: Sequences, lips: Sequence[Indices]) -> dict[str, Region]:
    """The data's own two regions, else those of a topology that is known; none where the data have but one of two."""
    own = {name: region for name in LIP_PARTS if (region := _from_data(data, name)) is not None}
    middles = lip_middles(data.info.vertices, {name: region.indices for name, region in own.items()}, lips)
    if middles is None or not middles.topology:
        return {} if middles is None else own
    sides = (("upper", middles.upper), ("lower", middles.lower))
    return {
        part: _region(f"{middles.topology}'s vertices of the {side} lip's middle", indices, data)
        for part, (side, indices) in zip(LIP_PARTS, sides, strict=True)
    }


def _no_opening(data: Sequences) -> str:
    lacking = " and ".join(repr(name) for name in LIP_PARTS if name not in data.region_names)
    known = " nor ".join(f"{mesh.topology}'s ({mesh.vertices} vertices)" for mesh in KNOWN)
    return (
        f"no lip opening: the data set {data.info.dataset!r} has no region {lacking}, and its lips are "
        f"neither {known}; give preprocess lip_upper.txt and lip_lower.txt, the vertices of the middle of each lip, "
        "with its regions"
    )


def _lip_middle(data: Sequences, lips: Sequence[Indices]) -> dict[str, Region]:
    """FLAME's two vertices, whatever the data's own parts of the lips are: the published curve is between these."""
    if not FLAME.on(data.info.vertices, lips):
        return {}
    return {LIP_MIDDLE: _region("FLAME's vertices 3546 and 3504", np.array(FLAME.upper + FLAME.lower), data)}


def _missing(data: Sequences, name: str) -> str:
    there = ", ".join(data.region_names) or "none"
    return f"the data set {data.info.dataset!r} has no region {name!r} (it has: {there})"


def _from_data(data: Sequences, name: str) -> Region | None:
    indices = data.region(name)
    if indices is None:
        return None
    check_region(indices, data.info.vertices, f"region {name} of {data.path}")
    return _region(name, indices, data)


def _from_file(file: Path, data: Sequences) -> Region:
    return _region(file.name, read_region(file, data.info.vertices), data)


def _region(name: str, indices: Indices, data: Sequences) -> Region:
    return Region(name, indices, identify(indices, data.info.vertices))
