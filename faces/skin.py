"""The skin of a head's mesh, and points on and about it with their distance: what a signed distance is learnt from.

Heads are of several pieces. The largest is skin; of the others (eyeballs, teeth, brows) those triangles count whose
normal leads out of the head. Distances are known by construction: a point of the skin, moved along its normal, is as
far from the skin as it was moved, unless another part of the skin is nearer, which is then seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faces.normals import face_normals, vertex_normals

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]

DENSE = 16_000
"""Points that stand for the skin where distances to it are looked up."""
SEEN_FROM = np.linspace(0.02, 0.40, 24)
"""Where along a normal the way out is looked at, in heights of the mesh; hairs and lashes lie closer."""
SLACK = 0.9
"""Of the distance moved, that there must be to the nearest point of the skin for the distance to be believed."""


class Places(NamedTuple):
    """Points of a mesh: triangles (N,), and the shares of their corners (N, 3)."""

    triangles: NDArray[np.int64]
    shares: Array


class About(NamedTuple):
    """Points on and about a posed mesh, N each.

    points: (N, 3). rest: (N, 3) where the same points are about the mesh at rest. distances: (N,) signed, outside
    positive. known: whether the distance is. followed: whether `rest` is. away: drawn from the box, not along a normal.
    """

    points: Array
    rest: Array
    distances: Array
    known: Mask
    followed: Mask
    away: Mask


@dataclass(frozen=True)
class Skin:
    """Which triangles of a topology are skin.

    faces: (F, 3). outer: (F,) skin, or of another piece and seen from outside. cut: (F,) touch the border where the
    head is cut, beyond which nobody knows what is inside. interest: (F,) how many points a triangle is given beside
    its area; 1 everywhere where nothing is of interest.
    """

    faces: NDArray[np.integer]
    outer: Mask
    cut: Mask
    interest: Array

    @classmethod
    def of(cls, vertices: Array, faces: NDArray[np.integer], interest: Array | None = None) -> Skin:
        """Of a neutral head (V, 3). interest: (V,) factors on the density of points about a vertex, 1 or above."""
        piece = pieces(len(vertices), faces)
        largest = np.bincount(piece).argmax()
        main = piece[faces[:, 0]] == largest
        cut = _cut(vertices, faces[main])
        weight = np.ones(len(faces)) if interest is None else interest[faces].max(axis=1)
        return cls(faces, main | _leads_out(vertices, faces, main), cut[faces].any(axis=1), weight)

    def draw(self, vertices: Array, count: int, rng: np.random.Generator) -> Places:
        """Places of the skin, by area and interest."""
        chance = np.linalg.norm(face_normals(vertices, self.faces), axis=1) * self.outer * self.interest
        triangles = rng.choice(len(self.faces), count, p=chance / chance.sum())
        return Places(triangles, rng.dirichlet(np.ones(3), count))

    def at(self, values: Array, places: Places) -> Array:
        """What belongs to vertices (V, C), at places: (N, C)."""
        mixed: Array = np.einsum("nkc,nk->nc", values[self.faces[places.triangles]], places.shares)
        return mixed

    def about(self, vertices: Array, rest: Array, count: int, rng: np.random.Generator, *, spread: float) -> About:
        """Points on the skin, along its normals (Laplace with `spread`, to four times that), and a sixth in the box.

        vertices: (V, 3) posed. rest: (V, 3) the same head at rest.
        """
        box, near = count // 6, count - count // 6
        places = self.draw(vertices, near, rng)
        height = np.where(rng.random(near) < 0.35, 0.0, rng.laplace(0.0, spread, near)).clip(-4 * spread, 4 * spread)
        posed, still = self._nearby(vertices, rng), self._nearby(rest, rng)
        points = self._raised(vertices, places, height)
        origin = self._raised(rest, places, height)
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        margin = 0.1 * (high - low)
        far = rng.uniform(low - margin, high + margin, (box, 3))
        apart, sure = posed.signed(far)
        known, followed = posed.agrees(points, height), still.agrees(origin, height)
        none = np.zeros(box, bool)
        return About(
            np.concatenate((points, far)),
            np.concatenate((origin, far)),
            np.concatenate((height, apart)),
            np.concatenate((known, sure)),
            np.concatenate((known & followed, none)),
            np.concatenate((np.zeros(near, bool), ~none)),
        )

    def _raised(self, vertices: Array, places: Places, height: Array) -> Array:
        normals = self.at(vertex_normals(vertices, self.faces), places)
        normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        raised: Array = self.at(vertices, places) + height[:, None] * normals
        return raised

    def _nearby(self, vertices: Array, rng: np.random.Generator) -> _Nearby:
        places = self.draw(vertices, DENSE, rng)
        normals = face_normals(vertices, self.faces)[places.triangles]
        area = np.linalg.norm(face_normals(vertices, self.faces), axis=1)[self.outer].sum() / 2
        return _Nearby(self.at(vertices, places), normals, self.cut[places.triangles], float(np.sqrt(area / DENSE)))


@dataclass(frozen=True)
class _Nearby:
    """Many points of a skin. gap: about how far apart they are."""

    points: Array
    normals: Array
    cut: Mask
    gap: float

    @cached_property
    def _tree(self) -> Any:  # SciPy tells no types
        from scipy.spatial import cKDTree

        return cKDTree(self.points)

    def agrees(self, points: Array, height: Array) -> Mask:
        """(N,) whether nothing else of the skin is nearer than the place that points were raised from."""
        apart, nearest = self._tree.query(points)
        agreed: Mask = (apart >= SLACK * np.abs(height)) & ~self.cut[nearest]
        return agreed

    def signed(self, points: Array) -> tuple[Array, Mask]:
        """Signed distances (N,), and whether they are known: farther away than points are apart, and not at the cut."""
        apart, nearest = self._tree.query(points)
        side = np.sign(np.einsum("nc,nc->n", points - self.points[nearest], self.normals[nearest]))
        return side * apart, (apart > 2 * self.gap) & ~self.cut[nearest]


def pieces(vertices: int, faces: NDArray[np.integer]) -> NDArray[np.int32]:
    """(V,) the number of the connected piece that each vertex is in."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    edges = np.concatenate([faces[:, :2], faces[:, 1:]])
    graph = coo_matrix((np.ones(len(edges), bool), (edges[:, 0], edges[:, 1])), (vertices, vertices))
    found: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return found


def _cut(vertices: Array, faces: NDArray[np.integer]) -> Mask:
    """(V,) the widest of the borders: where the neck ends."""
    edges = np.sort(np.concatenate([faces[:, :2], faces[:, 1:], faces[:, [2, 0]]]), axis=1)
    once, counts = np.unique(edges, axis=0, return_counts=True)
    border = once[counts == 1]
    cut = np.zeros(len(vertices), bool)
    if len(border):
        loop = pieces(len(vertices), np.concatenate([border, border[:, :1]], axis=1))
        wide = {number: np.ptp(vertices[loop == number], axis=0).max() for number in np.unique(loop[border[:, 0]])}
        cut = loop == max(wide, key=lambda number: wide[number])
    return cut


def _leads_out(vertices: Array, faces: NDArray[np.integer], main: Mask) -> Mask:
    """(F,) triangles of the smaller pieces whose normal meets no skin."""
    from scipy.spatial import cKDTree

    free = ~main
    if not free.any():
        return free
    corners, normals = vertices[faces], face_normals(vertices, faces)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    centres = corners.mean(axis=1)
    skin = cKDTree(np.concatenate([centres[main], vertices[np.unique(faces[main])]]))
    side = np.sqrt(np.median(np.linalg.norm(face_normals(vertices, faces)[main], axis=1)))
    height = float(np.ptp(vertices[:, 1]))
    for step in SEEN_FROM * height:
        apart, _ = skin.query(centres + step * normals)
        free &= apart > 0.7 * side
    return free
