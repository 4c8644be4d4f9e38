"""The renderer: vertices in, picture out. Needs no graphics system, no window, no GPU.

`SoftRenderer` is our z-buffer rasteriser, compiled by Numba where that is installed and in NumPy otherwise. Its grey
levels are those of pyrender with the field's material, lamp and camera (VOCA, FaceFormer, CodeTalker).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from faces.camera import Camera
from faces.errors import DataError
from faces.raster.look import Look, Material
from faces.raster.numpy_raster import NumpyRaster
from faces.raster.scene import Optics, Scene

if TYPE_CHECKING:
    from faces.raster.numba_raster import NumbaRaster

Image = NDArray[np.uint8]
Backend = Literal["auto", "numba", "numpy"]


class Renderer(Protocol):
    """What every renderer of this package offers."""

    def render(self, vertices: NDArray[np.floating], colours: NDArray[np.floating] | None = None) -> Image:
        """One frame: vertices (V, 3), colours (V, 3) linear or None → (size, size, 3) uint8."""
        ...


class SoftRenderer:
    """Draws frames of one topology from one camera. Threads may share an instance; they overlap with Numba.

    Triangles are seen from both sides. One that has a corner behind the camera (or nearer than `camera.near`) is left
    out rather than cut, and one without area covers nothing.
    """

    def __init__(
        self, faces: NDArray[np.integer], camera: Camera, look: Look | None = None, backend: Backend = "auto"
    ) -> None:
        self.camera = camera
        self.look = look or Look()
        self.faces = check_faces(faces)
        if self.look.supersample not in (1, 2):
            raise DataError(f"supersample is {self.look.supersample}; it must be 1 or 2")
        self._raster = _raster(self.faces, Optics.of(camera, self.look), backend)

    @property
    def backend(self) -> str:
        """ "numba" or "numpy"."""
        return "numpy" if isinstance(self._raster, NumpyRaster) else "numba"

    def render(self, vertices: NDArray[np.floating], colours: NDArray[np.floating] | None = None) -> Image:
        """Draw one frame.

        vertices: (V, 3) in the units of the camera. colours: (V, 3) linear factors of the light that comes back, 1 for
        the bare material; `faces.raster.look.to_linear` makes them from bytes.
        Returns (size, size, 3) uint8 RGB. DataError for NaN or infinity among the vertices, or wrong shapes.
        """
        vertices = check_vertices(vertices, self.faces)
        screen = self.camera.project(vertices, self.look.supersample)
        return self._raster.draw(Scene(screen, self.camera.view(vertices), check_colours(colours, len(vertices))))


def _raster(faces: NDArray[np.int32], optics: Optics, backend: Backend) -> NumpyRaster | NumbaRaster:
    if backend == "numpy":
        return NumpyRaster(faces, optics)
    try:
        from faces.raster.numba_raster import NumbaRaster
    except ImportError as error:
        if backend == "numba":
            raise DataError(f"the numba renderer cannot be used ({error}); install numba or choose numpy") from error
        return NumpyRaster(faces, optics)
    return NumbaRaster(faces, optics)


def check_faces(faces: NDArray[np.integer]) -> NDArray[np.int32]:
    """(F, 3) int32, contiguous. DataError otherwise."""
    triangles: NDArray[np.int32] = np.ascontiguousarray(faces, np.int32)
    if triangles.ndim != 2 or triangles.shape[1] != 3 or triangles.min(initial=0) < 0:
        raise DataError(f"triangles must be (F, 3) vertex indices from 0 on, not an array of shape {triangles.shape}")
    return triangles


def check_vertices(vertices: NDArray[np.floating], faces: NDArray[np.int32]) -> NDArray[np.float32]:
    """(V, 3) float32, contiguous, finite, enough of them for the triangles. DataError otherwise."""
    vertices = np.ascontiguousarray(vertices, np.float32)
    if vertices.ndim != 2 or vertices.shape[1] != 3:
        raise DataError(f"vertices must be (V, 3), not an array of shape {vertices.shape}")
    if faces.max(initial=-1) >= len(vertices):
        raise DataError(f"the triangles name vertex {faces.max()} of a mesh of {len(vertices)}; use its own topology")
    if not np.isfinite(vertices).all():
        bad = np.flatnonzero(~np.isfinite(vertices).all(axis=1))
        raise DataError(f"{len(bad)} of {len(vertices)} vertices are NaN or infinite, the first is {bad[0]}")
    return vertices


def check_colours(colours: NDArray[np.floating] | None, count: int) -> NDArray[np.float32]:
    """(V, 3) linear float32, or (0, 3) where none are given."""
    if colours is None:
        return np.empty((0, 3), np.float32)
    colours = np.ascontiguousarray(colours, np.float32)
    if colours.shape != (count, 3) or not np.isfinite(colours).all():
        raise DataError(f"colours must be ({count}, 3) finite numbers, not an array of shape {colours.shape}")
    return colours


__all__ = ["Backend", "Image", "Look", "Material", "Renderer", "SoftRenderer"]
