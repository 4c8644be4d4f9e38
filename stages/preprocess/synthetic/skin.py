"""The skin between the grids: a given number of points, dense where a face bends, joined by triangles.

Directions from the head's centre are mapped to a plane from the pole of the neck (stereographic, so triangles keep
their shape); there points are spread with a density, relaxed as a net of springs (Persson and Strang, "A simple mesh
generator in MATLAB", SIAM Review 2004) and joined by Delaunay's rule. Left and right are mirror images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.preprocess.synthetic.anatomy import CENTRE, NECK, RIM_ANGLE, Array, skin_towards, smooth_step

_ACROSS = np.array([1.0, 0.0, 0.0])
_AHEAD = np.cross(_ACROSS, NECK)
"""Forward and a little down: with the neck's pole behind the plane, +y of the plane is the face."""
RIM_RADIUS = 1.0 / np.tan(RIM_ANGLE / 2)
RELAXATIONS = 60


def to_plane(points: Array) -> Array:
    """(N, 3) skin points → (N, 2): the crown at the origin, the neck at infinity."""
    d = points - CENTRE
    d = d / np.linalg.norm(d, axis=-1, keepdims=True)
    plane: Array = np.stack([d @ _ACROSS, d @ _AHEAD], axis=-1) / (1.0 - d @ NECK)[:, None]
    return plane


def from_plane(plane: Array) -> Array:
    """The inverse: unit directions from the head's centre."""
    square = np.einsum("ij,ij->i", plane, plane)
    u, v = 2 * plane[:, 0] / (1 + square), 2 * plane[:, 1] / (1 + square)
    directions: Array = u[:, None] * _ACROSS + v[:, None] * _AHEAD + ((square - 1) / (1 + square))[:, None] * NECK
    return directions


def spacing(p: Array) -> Array:
    """How far apart points of the skin should lie, relative to the face: (N, 3) → (N,)."""
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    face = smooth_step(-0.005, 0.030, z) * (1 - smooth_step(0.060, 0.100, y)) * smooth_step(-0.125, -0.100, y)
    nose = np.exp(-((x / 0.020) ** 2 + ((y + 0.018) / 0.020) ** 2)) * (z > 0.04)
    brow = np.exp(-((np.maximum(x - 0.03, 0) / 0.016) ** 2 + ((y - 0.038) / 0.012) ** 2)) * (z > 0.02)
    ear = np.exp(-(((y - 0.002) / 0.042) ** 4) - ((z + 0.028) / 0.030) ** 4) * (x > 0.055)
    wide: Array = 2.4 - 1.4 * face
    neck = smooth_step(0.090, 0.130, -y)
    return wide * (1 - 0.45 * neck) * (1 - 0.42 * nose) * (1 - 0.20 * brow) * (1 - 0.72 * ear)


@dataclass(frozen=True)
class Field:
    """The wanted distance between points of the plane, tabulated over direction (left half of the head).

    Rows: angle off the crown; columns: azimuth from the back to the face.
    """

    table: Array

    @classmethod
    def sampled(cls, rows: int = 72, columns: int = 60) -> Field:
        polar = np.linspace(0.0, np.pi - RIM_ANGLE, rows)
        azimuth = np.linspace(-np.pi / 2, np.pi / 2, columns)
        radius = np.tan(polar / 2)[:, None]
        plane = np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth)], axis=-1).reshape(-1, 2)
        skin = skin_towards(from_plane(plane))
        stretch = np.linalg.norm(skin - CENTRE, axis=-1) * 2 / (1 + np.einsum("ij,ij->i", plane, plane))
        return cls((spacing(skin) / stretch).reshape(rows, columns))

    def __call__(self, plane: Array) -> Array:
        """(N, 2) → (N,) by bilinear interpolation."""
        rows, columns = self.table.shape
        polar = 2 * np.arctan(np.hypot(plane[:, 0], plane[:, 1])) / (np.pi - RIM_ANGLE) * (rows - 1)
        azimuth = (np.arctan2(plane[:, 1], np.abs(plane[:, 0])) / np.pi + 0.5) * (columns - 1)
        i, j = (np.clip(v.astype(int), 0, n - 2) for v, n in ((polar, rows), (azimuth, columns)))
        s, t = np.clip(polar - i, 0, 1), np.clip(azimuth - j, 0, 1)
        low = self.table[i, j] * (1 - t) + self.table[i, j + 1] * t
        high = self.table[i + 1, j] * (1 - t) + self.table[i + 1, j + 1] * t
        blended: Array = low * (1 - s) + high * s
        return blended


@dataclass(frozen=True)
class Skin:
    """plane: (N, 2) new points. faces: (F, 3) over the borders first, then the new ones; counter-clockwise outside."""

    plane: Array
    faces: NDArray[np.int64]


def grow(polygons: list[Array], count: int) -> Skin:
    """Fill the head with `count` new points around what is there.

    Arguments:
        polygons: (M, 2) the border of each grid in the plane, in order; nothing grows inside. count: how many points
            to add, the rim of the neck included.
    """
    field = Field.sampled()
    fixed = np.concatenate(polygons)
    scale = _scale(field, polygons, count)
    rim = _rim(field, scale)
    middle = _middle(field, scale, polygons)
    if (count - len(rim) - len(middle)) % 2:
        middle = middle[1:]  # what is left must be even, for two halves; the lowest point of the neck goes
    guards = [_enlarged(polygon) for polygon in polygons]
    half = _scatter(field, guards, (count - len(rim) - len(middle)) // 2)
    obstacles = np.concatenate([fixed, rim])
    middle, half = _relax(obstacles, middle, half, field, scale, guards)
    plane = np.concatenate([rim, middle, half, half * [-1, 1]])
    faces = _delaunay(np.concatenate([fixed, plane]))
    centroids = np.concatenate([fixed, plane])[faces].mean(axis=1)
    return Skin(plane, faces[~_inside_any(centroids, polygons)])


def _enlarged(polygon: Array) -> Array:
    """A border with room about it: a point that came closer would take an edge of the border out of the net."""
    centre = polygon.mean(axis=0)
    grown: Array = centre + 1.09 * (polygon - centre)
    return grown


def _scale(field: Field, polygons: list[Array], count: int) -> float:
    """The factor on the wanted distances with which about `count` points fill the plane outside the holes."""
    probes = _spread(20_000) * RIM_RADIUS
    probes = probes[np.hypot(*probes.T) < RIM_RADIUS]
    free = ~_inside_any(probes, polygons)
    # equilateral triangles: each point owns sqrt(3)/2 of its squared distance
    wanted = (np.pi * RIM_RADIUS**2 / len(probes)) * np.sum(1 / field(probes[free]) ** 2) / (np.sqrt(3) / 2)
    return float(np.sqrt(wanted / count))


def _spread(count: int) -> Array:
    """Evenly spread points of the square ±1 (the R2 sequence: multiples of powers of the plastic number)."""
    plastic = 1.32471795724474602596
    index = np.arange(1, count + 1)[:, None]
    points: Array = 2 * np.mod(0.5 + index / plastic ** np.arange(1, 3), 1.0) - 1
    return points


def _rim(field: Field, scale: float) -> Array:
    ring = np.stack([np.zeros(1), np.full(1, RIM_RADIUS)], axis=-1)
    columns = 4 * max(4, round(2 * np.pi * RIM_RADIUS / (4 * scale * float(field(ring)[0]))))
    angle = (np.arange(columns) + 0.5) / columns * 2 * np.pi
    rim: Array = RIM_RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return rim


def _middle(field: Field, scale: float, polygons: list[Array]) -> Array:
    """Points on the line between left and right, on both sides of the mouth."""
    y = np.linspace(-RIM_RADIUS, RIM_RADIUS, 4001)
    line = np.stack([np.zeros_like(y), y], axis=-1)
    inside = _inside_any(line, polygons)
    step = np.where(inside, 0.0, (y[1] - y[0]) / (scale * field(line)))
    count = np.concatenate([[0.0], np.cumsum(0.5 * (step[1:] + step[:-1]))])
    wanted = np.arange(0.75, count[-1] - 0.5)
    middle = np.interp(wanted, count, y)
    return np.stack([np.zeros_like(middle), middle], axis=-1)[~_inside_any(line[np.searchsorted(y, middle)], polygons)]


def _scatter(field: Field, guards: list[Array], count: int) -> Array:
    """`count` points of the left half, as dense as the field asks."""
    candidates = _spread(400_000)
    candidates = candidates * [0.5, 1] * RIM_RADIUS + [0.5 * RIM_RADIUS, 0]
    wanted = field(candidates)
    keep = (np.hypot(*candidates.T) < RIM_RADIUS - 0.5 * wanted.min()) & (candidates[:, 0] > 0)
    density = np.where(keep, 1 / wanted**2, 0)
    density[density > 0] *= ~_inside_any(candidates[density > 0], guards)
    # inverse sampling along the sequence, whose points are even in any stretch of it
    order = np.argsort(_interleaved(candidates), kind="stable")
    total = np.cumsum(density[order])
    picks = np.searchsorted(total, (np.arange(count) + 0.5) / count * total[-1])
    chosen: Array = candidates[order[picks]]
    return chosen


def _interleaved(points: Array) -> NDArray[np.int64]:
    """Morton codes: neighbours in the plane are mostly neighbours in this order."""
    cells = ((points / (2 * RIM_RADIUS) + 0.5) * 65535).astype(np.int64)
    code = np.zeros(len(points), dtype=np.int64)
    for bit in range(16):
        for axis in range(2):
            code |= ((cells[:, axis] >> bit) & 1) << (2 * bit + axis)
    return code


def _relax(
    obstacles: Array, middle: Array, half: Array, field: Field, scale: float, guards: list[Array]
) -> tuple[Array, Array]:
    """Springs between neighbours push points apart until distances follow the field."""
    m, n, start = len(middle), len(half), len(obstacles)
    for turn in range(RELAXATIONS):
        points = np.concatenate([obstacles, middle, half, half * [-1, 1]])
        if turn % 4 == 0:
            edges = _edges(_delaunay(points))
        push = _push(points, edges, field, scale)
        moved = middle + push[start : start + m] * [0, 1]
        middle = np.where(_inside_any(moved, guards)[:, None], middle, moved)
        moved = half + push[start + m : start + m + n]
        moved[:, 0] = np.maximum(moved[:, 0], 0.4 * scale * field(moved))  # its mirror image keeps its distance too
        out = _inside_any(moved, guards) | (np.hypot(*moved.T) > 0.985 * RIM_RADIUS)
        half = np.where(out[:, None], half, moved)
    return middle, half


def _push(points: Array, edges: NDArray[np.int64], field: Field, scale: float) -> Array:
    a, b = edges.T
    bar = points[a] - points[b]
    length = np.maximum(np.linalg.norm(bar, axis=1), 1e-12)
    wanted = 1.2 * scale * field(0.5 * (points[a] + points[b]))  # a fifth more than there is room for: all push
    force = (np.maximum(wanted - length, 0) / length)[:, None] * bar
    push = np.zeros_like(points)
    for axis in range(2):
        push[:, axis] = np.bincount(a, force[:, axis], len(points)) - np.bincount(b, force[:, axis], len(points))
    return 0.2 * push


def _edges(faces: NDArray[np.int64]) -> NDArray[np.int64]:
    pairs = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    unique: NDArray[np.int64] = np.unique(pairs, axis=0)
    return unique


def _delaunay(points: Array) -> NDArray[np.int64]:
    from matplotlib.tri import Triangulation

    faces: NDArray[np.int64] = Triangulation(points[:, 0], points[:, 1]).triangles.astype(np.int64)
    return faces


def _inside_any(points: Array, polygons: list[Array]) -> NDArray[np.bool_]:
    inside = np.zeros(len(points), dtype=bool)
    for polygon in polygons:
        inside |= _inside(points, polygon)
    return inside


def _inside(points: Array, polygon: Array) -> NDArray[np.bool_]:
    """Even-odd rule, asked only of points in the polygon's box."""
    result = np.zeros(len(points), dtype=bool)
    near = np.flatnonzero(np.all((points > polygon.min(axis=0)) & (points < polygon.max(axis=0)), axis=1))
    x, y = points[near].T[:, :, None]
    x0, y0 = polygon.T
    x1, y1 = np.roll(polygon, -1, axis=0).T
    with np.errstate(divide="ignore", invalid="ignore"):
        crosses = ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    result[near] = crosses.sum(axis=1) % 2 == 1
    return result
