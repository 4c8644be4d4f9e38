"""The compiled loops of normalisation: float32 heads in and out, all arithmetic in float64. They hold no lock, so that
sequences on several threads overlap.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from faces.raster.numba_kernels import kernel


@kernel
def area_of(points: Any, faces: Any) -> float:
    """Of the surface (V, 3) with the triangles (F, 3): half the length of all cross products of two edges."""
    total = 0.0
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ox, oy, oz = np.float64(points[a, 0]), np.float64(points[a, 1]), np.float64(points[a, 2])
        px, py, pz = points[b, 0] - ox, points[b, 1] - oy, points[b, 2] - oz
        qx, qy, qz = points[c, 0] - ox, points[c, 1] - oy, points[c, 2] - oz
        x, y, z = py * qz - pz * qy, pz * qx - px * qz, px * qy - py * qx
        total += np.sqrt(x * x + y * y + z * z)
    return 0.5 * total


@kernel
def mean_of(points: Any, mean: Any) -> None:
    """Of (V, 3) into (3,), from the first point on: what is far away costs no digits."""
    first_x, first_y, first_z = np.float64(points[0, 0]), np.float64(points[0, 1]), np.float64(points[0, 2])
    x = y = z = 0.0
    for v in range(len(points)):
        x += points[v, 0] - first_x
        y += points[v, 1] - first_y
        z += points[v, 2] - first_z
    mean[0], mean[1], mean[2] = first_x + x / len(points), first_y + y / len(points), first_z + z / len(points)


@kernel
def move(frames: Any, centre: Any, factor: Any) -> None:
    """(T, V, 3) to (x - centre) · factor, in place."""
    for t in range(len(frames)):
        for v in range(frames.shape[1]):
            for k in range(3):
                frames[t, v, k] = (frames[t, v, k] - centre[k]) * factor[k]


@kernel
def round_to(frames: Any, digits: int) -> None:
    """(T, V, 3) to so many significant digits, in place."""
    for t in range(len(frames)):
        for v in range(frames.shape[1]):
            for k in range(3):
                size = abs(np.float64(frames[t, v, k]))
                if size > 0:
                    scale = 10.0 ** (digits - 1 - np.floor(np.log10(size)))
                    frames[t, v, k] = np.rint(frames[t, v, k] * scale) / scale


@kernel
def move_each(frames: Any, faces: Any, turn: Any) -> int:
    """(T, V, 3), in place, each to a mean of 0, an area of 1 and the signs of `turn`; the first without area, or -1."""
    centre, factor = np.empty(3), np.empty(3)
    for t in range(len(frames)):
        size = area_of(frames[t], faces)
        if not size > 0:
            return t
        mean_of(frames[t], centre)
        factor[:] = turn / np.sqrt(size)
        move(frames[t : t + 1], centre, factor)
    return -1
