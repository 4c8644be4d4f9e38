"""The middle of the upper and of the lower lip of the two topologies that are measured most.

Neither FLAME's masks nor BIWI's region files tell one lip from the other. These are vertex numbers only, found as each
entry says; a data set's own regions `lip_upper` and `lip_lower` win over them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class LipVertices:
    """A topology is known by its number of vertices, and by its lips, among which all of these are."""

    topology: str
    vertices: int
    upper: tuple[int, ...]
    lower: tuple[int, ...]

    def on(self, vertices: int, lips: Iterable[Indices]) -> bool:
        """Whether a mesh is this one: so many vertices, and any of its regions of lips holds all of these."""
        mine = np.array(self.upper + self.lower)
        return vertices == self.vertices and any(np.isin(mine, region).all() for region in lips)


FLAME = LipVertices("FLAME", 5023, upper=(3546,), lower=(3504,))
"""CodeTalker's first author names the two (issue 55 of its repository). On VOCA's sample mesh both are on the midline
(x = ±0.3 mm), on the red of the lips just before the line where they meet; 3546 is above, by 4 mm, the lips closed."""

BIWI = LipVertices("BIWI", 23370, upper=(50, 10441, 13600), lower=(12936, 10141, 10143))
"""Found on BIWI.ply of CodeTalker's repository. The head is cut by the plane midway between the rims of its two eye
holes. The section has two ends at the mouth hole: from the upper one it runs down to y = -0.187, turns and rises as
the front of the upper lip; from the lower one it runs up to y = -0.189, turns and falls. The closed lips meet there.
Taken are, of the vertices of lve.txt in three strips 0.006 wide about that plane, the lowest of the upper and the
highest of the lower lip; all are within 0.007 of the plane (the mouth is 0.29 wide), which renders confirm."""

KNOWN = (FLAME, BIWI)

LIP_PARTS = ("lip_upper", "lip_lower")
"""A data set's own regions for the middle of each lip."""


@dataclass(frozen=True, eq=False)
class Middles:
    """The middle of each lip. topology: whose vertices these are, "" for a data set's own regions."""

    upper: Indices
    lower: Indices
    topology: str = ""


def lip_middles(vertices: int, own: Mapping[str, Indices], lips: Iterable[Indices]) -> Middles | None:
    """Those of a mesh of so many vertices: the data's own `LIP_PARTS`, else those of a topology that is known.

    None where the data have but one of the two, or none and an unknown topology. lips: the data's regions of all lips.
    """
    if own:
        upper, lower = (own.get(part) for part in LIP_PARTS)
        return None if upper is None or lower is None else Middles(upper, lower)
    lips = list(lips)
    for mesh in KNOWN:
        if mesh.on(vertices, lips):
            return Middles(np.array(mesh.upper), np.array(mesh.lower), mesh.topology)
    return None
