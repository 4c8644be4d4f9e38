"""Meshes that tests can reason about."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faces.camera import Camera
from faces.ply import Mesh

SQUARE_FACES = np.array([[0, 1, 2], [0, 2, 3]], np.int32)


def sphere(rings: int = 20, radius: float = 0.1) -> Mesh:
    """A closed globe around the origin, counter-clockwise from outside, poles on the y axis."""
    columns = 2 * rings
    polar, around = np.linspace(0, np.pi, rings + 1)[1:-1], np.arange(columns) * 2 * np.pi / columns
    ring = np.stack(
        [
            np.outer(np.sin(polar), np.sin(around)),
            np.repeat(np.cos(polar)[:, None], columns, axis=1),
            np.outer(np.sin(polar), np.cos(around)),
        ],
        axis=-1,
    )
    vertices = np.concatenate([ring.reshape(-1, 3), [[0, 1, 0], [0, -1, 0]]]) * radius
    index = np.arange(len(polar) * columns).reshape(len(polar), columns)
    right = np.roll(index, -1, axis=1)
    upper, lower = index[:-1], index[1:]
    faces = [
        np.stack([upper, lower, right[1:]], axis=-1).reshape(-1, 3),
        np.stack([upper, right[1:], right[:-1]], axis=-1).reshape(-1, 3),
        np.stack([np.full(columns, index.size), index[0], right[0]], axis=-1),
        np.stack([np.full(columns, index.size + 1), right[-1], index[-1]], axis=-1),
    ]
    return Mesh(vertices.astype(np.float32), np.concatenate(faces).astype(np.int32))


def square(left: float, right: float, bottom: float, top: float, z: float = 0.0) -> NDArray[np.float32]:
    """Corners for SQUARE_FACES, facing +z."""
    return np.array([[left, bottom, z], [right, bottom, z], [right, top, z], [left, top, z]], np.float32)


def pixel_camera(size: int) -> Camera:
    """At z = 1 and with a focal length of `size`: the plane z = 0 is one unit wide in the image."""
    return Camera(size, float(size), 0.01, np.array([0, 0, 1], np.float32))
