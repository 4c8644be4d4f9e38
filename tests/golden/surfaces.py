"""Runner of the case of a surface made from samples of a signed distance."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from faces.implicit.grid import Grid
from faces.implicit.settings import Extraction
from faces.implicit.surface import march
from faces.ply import Mesh
from tests.golden.case import Case
from tests.golden.patterns import Patterns

surfaces = Patterns()


class SurfaceRunner:
    """Vertices, faces and winding of the mesh of in/sdf."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def output(self, name: str) -> np.ndarray:
        return surfaces.compute(self, name)

    @cached_property
    def mesh(self) -> Mesh:
        config = self.case.config
        low, high = tuple(config["bounds_min"]), tuple(config["bounds_max"])
        grid = Grid(Extraction(resolution=config["resolution"], low=low, high=high))
        return march(self.case.input("sdf").reshape(grid.shape), grid)


@surfaces("vertices")
def _vertices(runner: SurfaceRunner) -> np.ndarray:
    """By x, then y, then z: the order of the published tool is not kept."""
    vertices = runner.mesh.vertices
    return vertices[np.lexsort(vertices.T[::-1])]


@surfaces("n_faces")
def _count(runner: SurfaceRunner) -> np.ndarray:
    return np.array(len(runner.mesh.faces))


@surfaces("winding")
def _winding(runner: SurfaceRunner) -> np.integer:
    """The sign of six times the volume."""
    corners = runner.mesh.vertices[runner.mesh.faces].astype(np.float64)
    return np.sign(np.linalg.det(corners).sum()).astype(np.int64)
