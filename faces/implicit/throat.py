"""Cutting the throat off a head: what lies below a plane through three vertices of FLAME's neck."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faces.errors import DataError
from faces.ply import Mesh

THROAT = (3276, 3207, 3310)
"""FLAME's vertices, in this order: the plane through them has the head above it."""


def above_throat(points: NDArray[np.floating], corners: ArrayLike, margin: float = 0.0) -> NDArray[np.bool_]:
    """(N,): which points lie more than `margin` above the plane through three corners (3, 3), in the points' units.

    Above is where the corners are seen counter-clockwise. DataError where they lie on a line.
    """
    first, second, third = np.asarray(corners, np.float64)
    normal = np.cross(second - first, third - first)
    length = np.linalg.norm(normal)
    if not length > 1e-12 * np.square(np.asarray(corners, np.float64)).sum():
        raise DataError("the three points of the throat lie on a line, so they give no plane to cut along")
    return np.asarray((points - first) @ (normal / length) > margin)


def cut(mesh: Mesh, keep: NDArray[np.bool_]) -> Mesh:
    """The triangles whose corners are all kept (V,), and the kept vertices in their order. DataError for none."""
    numbers = np.cumsum(keep) - 1
    faces = mesh.faces[keep[mesh.faces].all(axis=1)]
    if not len(faces):
        raise DataError("cutting leaves no triangle of the mesh; look at the plane and its margin")
    return Mesh(mesh.vertices[keep], numbers[faces].astype(np.int32))
