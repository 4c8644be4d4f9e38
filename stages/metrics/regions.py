"""The regions that a report looks at: from the data set, or from a file of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.metrics import region_digest
from faces.metrics_definitions import LIP_MIDDLE, OPENING
from faces.metrics_parts import Parts
from faces.regions import check_region, read_region
from pipeline.errors import StageError
from pipeline.registry import nearest
from stages.kinds.sequences import Sequences
from stages.metrics import LIPS, UPPER_FACE, Params

LIP_PARTS = ("lip_upper", "lip_lower")
FLAME_VERTICES = 5023
FLAME_LIP_MIDDLE = (3546, 3504)


@dataclass(frozen=True)
class Region:
    """A named set of vertices, and what identifies it in a report."""

    name: str
    indices: NDArray[np.int64]

    def facts(self) -> dict[str, object]:
        return {"name": self.name, "vertices": len(self.indices), "sha256": region_digest(self.indices)}


@dataclass(frozen=True)
class Regions:
    """Those that there are. notes: a sentence for each that is missing, with what to set."""

    found: Mapping[str, Region]
    notes: tuple[str, ...]

    def __getitem__(self, name: str) -> NDArray[np.int64]:
        return self.found[name].indices

    def facts(self, role: str) -> list[dict[str, object]]:
        """What identifies the regions that a definition of this role looks at."""
        return [self.found[name].facts() for name in (LIP_PARTS if role == OPENING else (role,) if role else ())]

    def parts(self, data: Sequences) -> Parts:
        indices = {name: region.indices for name, region in self.found.items()}
        return Parts(data.info.vertices, up="xyz".index(data.info.up), **indices)


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
    opening = [region for name in LIP_PARTS if (region := _from_data(data, name)) is not None]
    if len(opening) == len(LIP_PARTS):
        found |= {region.name: region for region in opening}
    else:
        notes.append(f"no lip opening: it needs the regions {' and '.join(LIP_PARTS)}")
    return Regions(found | _lip_middle(data), tuple(notes))


def _lip_middle(data: Sequences) -> dict[str, Region]:
    """FLAME's two vertices. A mesh of as many vertices is FLAME's only if both of them are on its lips."""
    lips = data.region(LIPS)
    if data.info.vertices != FLAME_VERTICES or lips is None or not np.isin(FLAME_LIP_MIDDLE, lips).all():
        return {}
    return {LIP_MIDDLE: Region("FLAME's vertices 3546 and 3504", np.array(FLAME_LIP_MIDDLE))}


def _missing(data: Sequences, name: str) -> str:
    there = ", ".join(data.region_names) or "none"
    return f"the data set {data.info.dataset!r} has no region {name!r} (it has: {there})"


def _from_data(data: Sequences, name: str) -> Region | None:
    indices = data.region(name)
    if indices is None:
        return None
    check_region(indices, data.info.vertices, f"region {name} of {data.path}")
    return Region(name, indices)


def _from_file(file: Path, data: Sequences) -> Region:
    return Region(file.name, read_region(file, data.info.vertices))
