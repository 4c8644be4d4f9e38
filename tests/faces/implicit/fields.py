"""Fields that tests can reason about, and the dense form that all searches are held against."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faces.implicit.grid import Grid, Points
from faces.implicit.samples import Field
from faces.implicit.settings import Extraction
from faces.implicit.surface import march, sample_all
from faces.ply import Mesh

Values = NDArray[np.float32]


def ball(centre: ArrayLike = (0, 0, 0), radius: float = 0.3) -> Field:
    """An exact distance."""
    middle = np.asarray(centre, np.float32)

    def field(points: Points) -> Values:
        return np.linalg.norm(points - middle, axis=1) - np.float32(radius)

    return field


def ellipsoid(centre: ArrayLike, radii: ArrayLike) -> Field:
    """A distance near the surface."""
    middle, size = np.asarray(centre, np.float32), np.asarray(radii, np.float32)

    def field(points: Points) -> Values:
        away = (points - middle) / size
        length = np.linalg.norm(away, axis=1)
        return length * (length - 1) / (np.linalg.norm(away / size, axis=1) + np.float32(1e-9))

    return field


def either(*fields: Field) -> Field:
    return lambda points: np.minimum.reduce([np.asarray(field(points), np.float32) for field in fields])


def without(field: Field, hole: Field) -> Field:
    return lambda points: np.maximum(field(points), -hole(points))


def sheet(thickness: float, half: float = 0.31) -> Field:
    """A thin slanted square plate."""
    normal = np.array([0.2, 0.3, 0.93], np.float32)
    normal /= np.linalg.norm(normal)

    def field(points: Points) -> Values:
        across = np.abs(points @ normal) - np.float32(thickness / 2)
        along = np.abs(points[:, :2]).max(axis=1) - np.float32(half)
        return np.maximum(across, along)

    return field


def talker(open_: float = 0.06, shift: float = 0.0) -> Field:
    """A head with a mouth that opens as a dent."""
    head = ellipsoid((0, shift, -0.25), (0.36, 0.42, 0.42))
    return without(head, ellipsoid((0, -0.15 + shift, 0.1), (0.12, open_, 0.14)))


def not_a_distance(field: Field) -> Field:
    """Equal signs, values that say nothing: saturated, and steeper on one side than on the other."""

    def squashed(points: Points) -> Values:
        values = np.asarray(field(points), np.float32)
        return np.tanh(9 * values) * (1 + 0.6 * np.sin(9 * points[:, 0]))

    return squashed


def dense(field: Field, settings: Extraction) -> Mesh:
    """The oracle: all samples, all cells, no mask."""
    return march(sample_all(field, settings), Grid(settings))


def equal(a: Mesh, b: Mesh) -> bool:
    return np.array_equal(a.vertices, b.vertices) and np.array_equal(a.faces, b.faces)
