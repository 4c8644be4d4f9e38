"""The rasteriser in NumPy alone: the same pictures as the compiled one up to rounding, ten to twenty times slower."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faces.normals import vertex_normals
from faces.raster.look import FLAT, TABLE_SIZE
from faces.raster.scene import Optics, Scene

SLACK = np.float32(1e-4)
MIN_AREA = np.float32(1e-6)
HALF, QUARTER, PI, DIFFUSE, DIELECTRIC = (np.float32(x) for x in (0.5, 0.25, np.pi, 0.96, 0.04))
CHUNK = 1 << 20
"""Candidate samples that are looked at at once: bounds the memory, some 60 MB."""

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class NumpyRaster:
    """Draws frames of one topology. Keeps nothing between frames, so threads may share it."""

    def __init__(self, faces: NDArray[np.int32], optics: Optics) -> None:
        self.faces = faces
        self.optics = optics

    def draw(self, scene: Scene) -> NDArray[np.uint8]:
        """(size, size, 3) uint8."""
        depth, owner = visible_triangles(scene.screen, self.faces, self.optics.samples)
        normals = vertex_normals(scene.seen, self.faces)
        if self.optics.supersample == 1:
            levels = self._every_sample(depth > 0, owner, scene, normals)
        else:
            levels = self._whole_pixels(depth, owner, scene, normals)
        return (levels + HALF).astype(np.uint8)

    def _every_sample(self, wanted: NDArray[np.bool_], owner: Ints, scene: Scene, normals: Floats) -> Floats:
        """(samples, samples, 3) bytes, not rounded, of the wanted samples; background elsewhere."""
        levels = np.empty((*wanted.shape, 3), np.float32)
        levels[:] = self.optics.background
        rows, columns = np.nonzero(wanted)
        levels[rows, columns] = self._shade(columns + 0.5, rows + 0.5, owner[rows, columns], scene, normals)
        return levels

    def _whole_pixels(self, depth: Floats, owner: Ints, scene: Scene, normals: Floats) -> Floats:
        """(size, size, 3): the mean of four samples, or the middle of the pixel where depth is continuous."""
        whole = self._continuous(depth)
        edges = (depth > 0) & ~np.repeat(np.repeat(whole, 2, axis=0), 2, axis=1)
        levels = np.add.reduce(_quarters(self._every_sample(edges, owner, scene, normals))) * QUARTER
        rows, columns = np.nonzero(whole)
        triangles = owner[2 * rows, 2 * columns]
        levels[rows, columns] = self._shade(2 * columns + 1.0, 2 * rows + 1.0, triangles, scene, normals)
        return levels

    def _continuous(self, depth: Floats) -> NDArray[np.bool_]:
        low, high = np.minimum.reduce(_quarters(depth)), np.maximum.reduce(_quarters(depth))
        return (low > 0) & (high - low < self.optics.tolerance * high)

    def _shade(self, px: NDArray[Any], py: NDArray[Any], triangles: Ints, scene: Scene, normals: Floats) -> Floats:
        """(N, 3) bytes, not rounded, of triangles at points."""
        px, py, corners = px.astype(np.float32), py.astype(np.float32), self.faces[triangles].T
        weights = _perspective_weights(px, py, *(scene.screen[corner].T for corner in corners))
        scale, centre = self.optics.view
        towards = ((centre - px) * scale, (py - centre) * scale)
        nl, fresnel, specular = _light(_mix(weights, normals, corners), towards, self.optics.material[2])
        value = _value(nl, fresnel, specular, self.optics.material)[:, None]
        if len(scene.colours):
            value = value * np.stack(_mix(weights, scene.colours, corners), axis=1)
        index = (np.clip(value, 0, 1) * np.float32(TABLE_SIZE) + HALF).astype(np.int32)
        return np.broadcast_to(self.optics.table[index], (len(px), 3))


def _quarters(samples: NDArray[Any]) -> list[NDArray[Any]]:
    """The four samples of each pixel as four arrays (size, size, …)."""
    return [samples[y::2, x::2] for y in range(2) for x in range(2)]


def visible_triangles(screen: Floats, faces: NDArray[np.int32], samples: int) -> tuple[Floats, Ints]:
    """Depth (1 / distance; 0 where nothing is) and triangle of every sample; of ties, the first triangle."""
    # One integer per sample: the bits of 1 / distance, which order positive floats, then the triangle counted down.
    best = np.zeros(samples * samples, np.int64)
    for triangles, columns, rows, inverse in _fragments(screen, faces, samples):
        key = (inverse.view(np.int32).astype(np.int64) << 32) | (len(faces) - triangles)
        np.maximum.at(best, rows * samples + columns, key)
    depth = (best >> 32).astype(np.int32).view(np.float32)
    owner = len(faces) - (best & 0xFFFFFFFF)
    return depth.reshape(samples, samples), owner.reshape(samples, samples)


def _fragments(screen: Floats, faces: NDArray[np.int32], samples: int) -> Iterator[tuple[Ints, Ints, Ints, Floats]]:
    """Triangle, column, row and 1 / distance of all covered samples, hidden ones too, in chunks."""
    triangles, planes, box = _planes(screen, faces, samples)
    wide, high = box[2] - box[0] + 1, box[3] - box[1] + 1
    for part in _chunks(np.arange(len(triangles)), wide * high):
        counts = (wide * high)[part]
        which = np.repeat(part, counts)
        number = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        down = number // wide[which]
        right = number - down * wide[which]
        x, y = right.astype(np.float32), down.astype(np.float32)
        first, second, third = (_evaluate(planes[k], which, x, y) for k in range(3))
        inside = np.flatnonzero((first >= -SLACK) & (second >= -SLACK) & (third >= -SLACK))
        which = which[inside]
        inverse = _evaluate(planes[3], which, x[inside], y[inside])
        yield triangles[which], box[0][which] + right[inside], box[1][which] + down[inside], inverse


def _planes(screen: Floats, faces: NDArray[np.int32], samples: int) -> tuple[Ints, Floats, Ints]:
    """What each triangle that can cover a sample adds up to, sample by sample.

    Returns its indices (N,), planes (4, 3, N): value at the box's first sample, per column and per row, of the three
    barycentric weights and of 1 / distance; box (4, N): left, top, right, bottom sample.
    """
    a, b, c = (screen[faces[:, k]].T for k in range(3))
    left, right = _sample_range(a[0], b[0], c[0], samples)
    top, bottom = _sample_range(a[1], b[1], c[1], samples)
    doubled = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
    seen = np.minimum(np.minimum(a[2], b[2]), c[2]) > 0
    chosen = np.flatnonzero((left <= right) & (top <= bottom) & seen & (np.abs(doubled) >= MIN_AREA))
    box = np.stack([left, top, right, bottom])[:, chosen]
    a, b, c, inverse = a[:, chosen], b[:, chosen], c[:, chosen], 1 / doubled[chosen]
    dx, dy = box[0].astype(np.float32) + HALF - a[0], box[1].astype(np.float32) + HALF - a[1]
    second = np.stack([np.zeros_like(dx), (c[1] - a[1]) * inverse, (a[0] - c[0]) * inverse])
    third = np.stack([np.zeros_like(dx), (a[1] - b[1]) * inverse, (b[0] - a[0]) * inverse])
    for plane in (second, third):
        plane[0] = plane[1] * dx + plane[2] * dy
    first = np.stack([1 - second[0] - third[0], -second[1] - third[1], -second[2] - third[2]])
    return chosen, np.stack([first, second, third, first * a[2] + second * b[2] + third * c[2]]), box


def _evaluate(plane: Floats, which: Ints, x: Floats, y: Floats) -> Floats:
    return plane[0][which] + plane[1][which] * x + plane[2][which] * y


def _sample_range(a: Floats, b: Floats, c: Floats, samples: int) -> tuple[Ints, Ints]:
    """First and last sample whose centre a triangle's extent holds, within the image."""
    first = np.clip(np.ceil(np.minimum(np.minimum(a, b), c) - HALF), 0, samples)
    last = np.clip(np.floor(np.maximum(np.maximum(a, b), c) - HALF), -1, samples - 1)
    return first.astype(np.int64), last.astype(np.int64)


def _chunks(triangles: Ints, counts: Ints) -> Iterator[Ints]:
    """Cut the list of triangles where their candidate samples add up to CHUNK."""
    marks = np.cumsum(counts) // CHUNK
    yield from np.split(triangles, np.flatnonzero(np.diff(marks)) + 1)


def _perspective_weights(px: Floats, py: Floats, a: Floats, b: Floats, c: Floats) -> tuple[Floats, Floats, Floats]:
    """Weights of three corners (3, N) in space; outside of a triangle, of a point on its rim."""
    ux, uy, wx, wy = b[0] - a[0], b[1] - a[1], c[0] - a[0], c[1] - a[1]
    dx, dy = px - a[0], py - a[1]
    inverse = 1 / (ux * wy - wx * uy)
    second, third = (dx * wy - wx * dy) * inverse, (ux * dy - dx * uy) * inverse
    first = np.maximum(1 - second - third, 0) * a[2]
    second, third = np.maximum(second, 0) * b[2], np.maximum(third, 0) * c[2]
    total = first + second + third
    return first / total, second / total, third / total


def _mix(weights: tuple[Floats, Floats, Floats], values: Floats, corners: NDArray[np.int32]) -> list[Floats]:
    """One (N,) array for each column of values (V, columns)."""
    a, b, c = corners
    return [weights[0] * column[a] + weights[1] * column[b] + weights[2] * column[c] for column in values.T]


def _light(
    normal: list[Floats], towards: tuple[Floats, Floats], roughness: np.float32
) -> tuple[Floats, Floats, Floats]:
    """(N,) each: n·l, Fresnel weight, specular term without F; see `faces.raster.look` for the formulas.

    normal: x, y and z, of any length. towards: x and y of the vector to the viewer, whose z is 1.
    """
    (nx, ny, nz), (vx, vy) = normal, towards
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    inverse = np.divide(1, length, out=np.zeros_like(length), where=length > 0)
    vz = 1 / np.sqrt(vx * vx + vy * vy + 1)
    facing, nz = (nx * vx + ny * vy + nz) * vz * inverse, nz * inverse
    half = 1 / np.sqrt(2 + 2 * vz)  # as in the compiled loops: the half vector is (v + l) / sqrt(2 + 2 vz)
    nl, nv = np.clip(nz, FLAT, 1), np.clip(np.abs(facing), FLAT, 1)
    nh, vh = np.clip((facing + nz) * half, 0, 1), (1 + vz) * half
    k, square = (roughness + 1) ** 2 / 8, roughness**4
    shadowing = nv / (nv * (1 - k) + k) * nl / (nl * (1 - k) + k)
    spread = nh * nh * (square - 1) + 1
    return nl, (1 - vh) ** 5, shadowing * square / (PI * spread * spread * (4 * nl * nv + FLAT))


def _value(nl: Floats, fresnel: Floats, specular: Floats, material: Floats) -> Floats:
    """Linear light that the bare material returns."""
    base, metallic, _, intensity, ambient = material
    f0 = DIELECTRIC * (1 - metallic) + base * metallic
    f = f0 + (1 - f0) * fresnel
    diffuse = (1 - f) * base * (DIFFUSE * (1 - metallic) / PI)
    return nl * intensity * (diffuse + f * specular) + base * ambient
