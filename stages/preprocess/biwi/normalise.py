"""Heads brought to one place and size: as CodeTalker published it, each frame by itself, or all of a subject alike.

Published (Xing et al., CVPR 2023, and all who use its data): every frame, and every template, is turned by π about x,
moved so that the mean of its vertices is 0, and divided by the square root of its area. An opening mouth moves the
mean and enlarges the area, so that the whole head moves and shrinks a little with speech. By the subject's template,
it stays as it was recorded: one centre and one scale for all its frames. Arithmetic is float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError

Array = NDArray[np.float64]
Faces = NDArray[np.integer]

TURN = np.array([1.0, -1.0, -1.0])
"""A half turn about x. The corpus has y downwards and z away from the viewer."""


TOLERANCE = 1e-4
"""What float32 leaves of a mean of 0 and an area of 1, with room to spare."""


@dataclass(frozen=True)
class Place:
    """Where a head is and how large, after the turn: centre (3,), scale the square root of its area."""

    centre: Array
    scale: float

    @property
    def is_normalised(self) -> bool:
        """Whether a head that lies here has been normalised, by either rule."""
        return abs(self.scale - 1) < TOLERANCE and float(np.abs(self.centre).max()) < TOLERANCE

    @classmethod
    def of(cls, vertices: NDArray[np.floating], faces: Faces, where: str) -> Place:
        """Of one head (V, 3). DataError, about `where`, for one without area."""
        turned = vertices * TURN
        size = area(turned.T, corners_of(faces))
        if not size > 0:
            raise DataError(f"{where} has no area; take another copy of it")
        return cls(turned.mean(axis=0), float(np.sqrt(size)))


def corners_of(faces: Faces) -> NDArray[np.intp]:
    """(3, F), as `area` reads them fastest."""
    return np.ascontiguousarray(faces.T, np.intp)


def area(planes: Array, corners: NDArray[np.intp]) -> float:
    """Of the surface with the coordinates (3, V), half the length of all cross products of two edges.

    The sum of mixed Voronoi areas that is published comes to the same.
    """
    start = planes.take(corners[0], axis=1)
    (ax, ay, az), (bx, by, bz) = (planes.take(corners[k], axis=1) - start for k in (1, 2))
    squares = _minor(ay, bz, az, by)
    squares += _minor(az, bx, ax, bz)
    squares += _minor(ax, by, ay, bx)
    return float(0.5 * np.sqrt(squares, out=squares).sum())


def _minor(a: Array, b: Array, c: Array, d: Array) -> Array:
    """(ab - cd)², with few passes over memory."""
    product = a * b
    product -= c * d
    product *= product
    return product


def each_by_itself(frames: NDArray[np.float32], faces: Faces, where: str) -> NDArray[np.float32]:
    """Normalise (T, V, 3) as published, in place. DataError, about `where`, for a frame without area."""
    corners = corners_of(faces)
    for frame in frames:
        planes = np.ascontiguousarray(frame.T, np.float64)
        planes -= planes.mean(axis=1, keepdims=True)
        size = area(planes, corners)
        if not size > 0:
            raise DataError(f"{where} has a frame without area; take another copy of it")
        planes *= (TURN / np.sqrt(size))[:, None]
        frame[:] = planes.T
    return frames


def all_alike(frames: NDArray[np.float32], place: Place) -> NDArray[np.float32]:
    """Normalise (T, V, 3) by a template's place, in place."""
    for frame in frames:
        frame[:] = (frame * TURN - place.centre) / place.scale
    return frames
