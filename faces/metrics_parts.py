"""What the metrics look at on a mesh, and what its lips do over time."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from faces.lips import opening
from faces.metrics_definitions import LIP_MIDDLE, LIPS, OPENING

Array = NDArray[np.float64]
Motion = NDArray[np.floating]
Indices = NDArray[np.int64]


def _nowhere() -> Indices:
    return np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Parts:
    """Vertex indices of a mesh's parts; empty where it has no such part.

    vertices: V. upper_face: duplicates count twice in the dynamics, as published. lip_upper, lip_lower: the middles of
    the lips. lip_middle: two vertices. up: index of the vertical axis.
    """

    vertices: int
    lips: Indices = field(default_factory=_nowhere)
    upper_face: Indices = field(default_factory=_nowhere)
    lip_upper: Indices = field(default_factory=_nowhere)
    lip_lower: Indices = field(default_factory=_nowhere)
    lip_middle: Indices = field(default_factory=_nowhere)
    up: int = 1

    def has(self, role: str) -> bool:
        """Whether what a definition of this role looks at is there."""
        if role == OPENING:
            return bool(len(self.lip_upper) and len(self.lip_lower))
        return not role or bool(len(getattr(self, role)))

    @cached_property
    def lip_vertices(self) -> Indices:
        """The lips, each vertex once, rising."""
        return np.unique(self.lips)

    @cached_property
    def lip_mask(self) -> Array:
        """(V,): 1 on the lips, 0 elsewhere."""
        return self._mask(self.lips)

    @cached_property
    def upper_mask(self) -> Array:
        """(V,): 1 on the upper face, 0 elsewhere."""
        return self._mask(self.upper_face)

    def _mask(self, region: Indices) -> Array:
        mask = np.zeros(self.vertices)
        mask[region] = 1.0
        return mask


class Lips:
    """Three curves of one motion, (T,) each: lip opening, extent of the lips along the vertical, FLAME's lip distance.

    `lips[role]` is the curve of the part it needs; an unknown part has none.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._found: dict[str, list[Array]] = {OPENING: [], LIPS: [], LIP_MIDDLE: []}

    def add(self, rows: Motion, extents: Array) -> None:
        """Consecutive frames (B, 3 V), and the extents of the lips in each (B,)."""
        parts, motion = self._parts, rows.reshape(len(rows), -1, 3)
        if parts.has(OPENING):
            self._found[OPENING].append(opening(motion, parts.lip_upper, parts.lip_lower))
        if parts.has(LIP_MIDDLE):
            self._found[LIP_MIDDLE].append(opening(motion, parts.lip_middle[:1], parts.lip_middle[1:]))
        if parts.has(LIPS):
            self._found[LIPS].append(extents)

    def __getitem__(self, role: str) -> Array:
        return np.concatenate(self._found[role])
