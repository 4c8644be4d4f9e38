"""The compiled rasteriser: one z-buffer per thread, used again for every frame."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from faces.raster import numba_kernels as kernels
from faces.raster.scene import Optics, Scene


class NumbaRaster:
    """Draws frames of one topology. Threads may draw with one instance at the same time."""

    def __init__(self, faces: NDArray[np.int32], optics: Optics) -> None:
        self.faces = faces
        self.optics = optics
        self._local = threading.local()

    def draw(self, scene: Scene) -> NDArray[np.uint8]:
        """(size, size, 3) uint8."""
        depth, owner = self._buffers()
        top, bottom, left, right = kernels.covered_box(scene.screen, self.optics.samples)
        depth[top // 2 * 2 : bottom + 1] = 0  # whole pixels: with 2×2 samples the box may end inside one
        kernels.visible_triangles(scene.screen, self.faces, depth, owner)
        normals = np.empty_like(scene.seen)
        kernels.vertex_normals(scene.seen, self.faces, normals)
        return self._shade((top, bottom, left, right), depth, owner, scene, normals)

    def _buffers(self) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        if not hasattr(self._local, "depth"):
            shape = (self.optics.samples, self.optics.samples)
            self._local.depth, self._local.owner = np.zeros(shape, np.float32), np.zeros(shape, np.int32)
        return self._local.depth, self._local.owner

    def _shade(
        self,
        box: tuple[int, int, int, int],
        depth: NDArray[np.float32],
        owner: NDArray[np.int32],
        scene: Scene,
        normals: NDArray[np.float32],
    ) -> NDArray[np.uint8]:
        optics, coloured = self.optics, len(scene.colours) > 0
        image = np.empty((optics.size, optics.size, 3), np.uint8)
        mesh = (scene.screen, self.faces, normals, scene.colours, coloured)
        light = (optics.view, optics.material, optics.table, optics.background, optics.tolerance)
        kernels.shade(image, box, depth, owner, *mesh, *light)
        return image
