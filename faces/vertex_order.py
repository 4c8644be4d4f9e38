"""Whether a mesh has its vertices in the order of a known one: seen from its edges, which no motion tears apart.

Two meshes of one topology have like edges whatever the pose, place and unit. Where the vertices of one stand in another
order, most of its edges lead across the whole head. Whether it is then the same surface is told by its points alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

LONG = 3.0
"""Times its length in the known mesh: no face stretches an edge so far."""
FAR = 0.02
"""Of a head's size: what a vertex out of place is away from its neighbours at least."""
MOST_SHARE = 0.05
"""Of the edges: if more are too long, the whole order is another. A few may be in the folds of a mouth that opens."""
SAMPLE = 384
NEAR = 0.04
"""Of a head's size: how near the points of the same surface are to each other on average, in another pose."""


class Order(Enum):
    """SAME; SWAPPED: some vertices are at others' places; PERMUTED: the same points in another order; OTHER."""

    SAME = "same"
    SWAPPED = "swapped"
    PERMUTED = "permuted"
    OTHER = "other"


@dataclass(frozen=True)
class Verdict:
    """vertices: those out of place, where they are few."""

    kind: Order
    vertices: NDArray[np.int64]


class VertexOrder:
    """A mesh, (V, 3) and (F, 3), that others are held against."""

    def __init__(self, vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> None:
        self.edges = _edges(faces)
        self.vertices = np.asarray(vertices, np.float64)
        self.size = size_of(self.vertices)
        self.lengths = np.linalg.norm(self.vertices[self.edges[:, 0]] - self.vertices[self.edges[:, 1]], axis=1)

    def of(self, points: NDArray[np.floating]) -> Verdict:
        """(V, 3) in any unit, place and pose, without NaN."""
        none = np.zeros(0, np.int64)
        size = size_of(points)
        if not size or not self.size:
            return Verdict(Order.OTHER, none)
        scaled = np.asarray(points, np.float64) * (self.size / size)
        found = np.linalg.norm(scaled[self.edges[:, 0]] - scaled[self.edges[:, 1]], axis=1)
        fits = found <= np.maximum(LONG * self.lengths, self.lengths + FAR * self.size)
        if np.mean(~fits) > MOST_SHARE:
            return Verdict(Order.PERMUTED if self._same_surface(scaled) else Order.OTHER, none)
        away = _without(fits, self.edges, len(points))
        return Verdict(Order.SWAPPED if len(away) else Order.SAME, away)

    def _same_surface(self, scaled: NDArray[np.float64]) -> bool:
        """Both ways, so that a part of the head is not taken for the whole."""
        mine, theirs = self.vertices - _middle(self.vertices), scaled - _middle(scaled)
        both = max(_distance(mine, theirs), _distance(theirs, mine))
        return both < NEAR * self.size


def size_of(points: NDArray[np.floating]) -> float:
    """A length that grows with the mesh and knows no order: the root mean square distance from the middle, doubled."""
    centred = np.asarray(points, np.float64) - _middle(points)
    return 2 * float(np.sqrt(np.square(centred).sum(axis=1).mean()))


def _middle(points: NDArray[np.floating]) -> NDArray[np.float64]:
    middle: NDArray[np.float64] = np.mean(points, axis=0, dtype=np.float64)
    return middle


def _edges(faces: NDArray[np.integer]) -> NDArray[np.int64]:
    """(E, 2), each once."""
    pairs = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64), axis=1)
    return np.unique(pairs, axis=0)


def _without(fits: NDArray[np.bool_], edges: NDArray[np.int64], vertices: int) -> NDArray[np.int64]:
    """Vertices that have edges and not one that fits."""
    some, good = np.zeros(vertices, bool), np.zeros(vertices, bool)
    some[edges.reshape(-1)] = True
    good[edges[fits].reshape(-1)] = True
    return np.flatnonzero(some & ~good)


def _distance(some: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """How far points of `some`, evenly drawn, are from the nearest of `others`, on average."""
    drawn = some[:: max(1, len(some) // SAMPLE)]
    squares = (drawn**2).sum(axis=1)[:, None] - 2 * drawn @ others.T + (others**2).sum(axis=1)
    return float(np.sqrt(np.maximum(squares.min(axis=1), 0)).mean())
