"""Pinhole cameras: the published ones of VOCA and FaceFormer, and one that frames any mesh whatever its units.

A camera looks along its own -z axis with +y up; pixel (0, 0) is the top left corner and pixel centres lie at halves.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError

VOCA_FOCAL = 4754.97941935
"""Focal length in pixels behind VOCA's renderer; /2 for VOCASET and /8 for BIWI at 800×800."""
VOCA_SIZE = 800
FIT_FOCAL = VOCA_FOCAL / 2 / VOCA_SIZE
"""Focal length of `fit` as a multiple of the image's side: VOCA's perspective, 19 degrees."""
UP_AXES = {
    "y": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "z": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "-y": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
}
"""Up axis of the data → rows of the rotation into the camera: right, up, towards the viewer."""


def _upright() -> NDArray[np.float32]:
    return np.array(UP_AXES["y"], np.float32)


@dataclass(frozen=True, eq=False)
class Camera:
    """A square pinhole camera.

    size: pixels a side. focal: focal length in pixels. near: distance below which nothing is drawn, in the
    mesh's units. position: (3,) where it stands. rotation: (3, 3) rows right, up and towards the viewer, in the mesh's
    axes. The principal point is the middle of the image.
    """

    size: int
    focal: float
    near: float
    position: NDArray[np.float32]
    rotation: NDArray[np.float32] = field(default_factory=_upright)

    def view(self, vertices: NDArray[np.floating]) -> NDArray[np.float32]:
        """(V, 3) in the camera's axes: x right, y up, z towards the viewer (what is seen has z < 0)."""
        return ((vertices - self.position) @ self.rotation.T).astype(np.float32)

    def project(self, vertices: NDArray[np.floating], scale: int = 1) -> NDArray[np.float32]:
        """(V, 3) float32: x and y in pixels of an image `scale` times as large, and 1 / depth.

        A vertex nearer than `near` or behind the camera has 1 / depth = 0, which no visible vertex has.
        """
        seen = self.view(vertices)
        depth = -seen[:, 2]
        inverse = np.divide(1.0, depth, out=np.zeros_like(depth), where=depth >= self.near)
        centre, focal = np.float32(self.size * scale / 2), np.float32(self.focal * scale)
        screen = np.empty((len(seen), 3), np.float32)
        screen[:, 0] = centre + focal * seen[:, 0] * inverse
        screen[:, 1] = centre - focal * seen[:, 1] * inverse
        screen[:, 2] = inverse
        return screen


def voca(size: int = VOCA_SIZE) -> Camera:
    """VOCASET in metres as VOCA, FaceFormer and CodeTalker show it: 1 m in front of the origin, f = 2377.5 at 800."""
    return _published(VOCA_FOCAL / 2, size)


def biwi(size: int = VOCA_SIZE) -> Camera:
    """BIWI in its unit-area scale as FaceFormer and CodeTalker show it: the same place, f = 594.4 at 800."""
    return _published(VOCA_FOCAL / 8, size)


def fit(vertices: NDArray[np.floating], size: int, up: str = "y", margin: float = 0.06) -> Camera:
    """A camera that shows all of (V, 3), in any units, as large as leaves `margin` of the side free around it.

    up: the axis of the data that points up; faces look along +z for "y", -y for "z" and -z for "-y".
    """
    _check_fit(vertices, up)
    rotation = np.array(UP_AXES[up], np.float32)
    turned = vertices @ rotation.T.astype(np.float64)
    centre = (turned.min(axis=0) + turned.max(axis=0)) / 2
    relative = np.abs(turned - centre) * [1, 1, 0] + (turned - centre) * [0, 0, 1]
    half = 0.5 - margin
    # A vertex d - z away appears at FIT_FOCAL * x / (d - z): d is the least distance at which all are within `half`.
    distance = float((relative[:, :2].max(axis=1) * FIT_FOCAL / half + relative[:, 2]).max())
    position = (centre + np.array([0, 0, distance])) @ rotation
    return Camera(size, FIT_FOCAL * size, distance / 100, position.astype(np.float32), rotation)


def _published(focal: float, size: int) -> Camera:
    return Camera(size, focal * size / VOCA_SIZE, 0.01, np.array([0, 0, 1], np.float32))


def _check_fit(vertices: NDArray[np.floating], up: str) -> None:
    if up not in UP_AXES:
        raise DataError(f"a camera cannot be fitted to data whose up axis is {up!r}; it must be y, z or -y")
    if not len(vertices) or not np.isfinite(vertices).all():
        raise DataError("a camera cannot be fitted to a mesh without vertices or with NaN among them")
    if not np.ptp(vertices, axis=0).any():
        raise DataError("a camera cannot be fitted to a mesh whose vertices all lie in one point")
