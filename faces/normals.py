"""Normals of triangle meshes in NumPy. Triangles are counter-clockwise seen from outside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def face_normals(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> NDArray[np.floating]:
    """(F, 3) cross products of two edges: along the normal, twice the triangle's area long."""
    first, second, third = (vertices[faces[:, k]] for k in range(3))
    return np.cross(second - first, third - first)


def vertex_normals(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> NDArray[np.float32]:
    """(V, 3) float32 unit normals: the mean of the adjacent triangles', weighted by area.

    A vertex of no triangle, or of triangles without area, has the normal (0, 0, 0).
    """
    weights, corners = face_normals(vertices, faces), faces.ravel()
    sums = np.stack([np.bincount(corners, np.repeat(weights[:, k], 3), len(vertices)) for k in range(3)], axis=1)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.divide(sums, lengths, out=np.zeros_like(sums), where=lengths > 0).astype(np.float32)
