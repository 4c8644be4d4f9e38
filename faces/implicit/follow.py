"""The surfaces of a sequence: each frame is searched near the last one's surface only, and as a whole now and then."""

from __future__ import annotations

import math

import numpy as np

from faces.errors import DataError
from faces.implicit import kernels
from faces.implicit.grid import Grid, Indices
from faces.implicit.samples import Field, Samples
from faces.implicit.search import Anchors, search
from faces.implicit.settings import Extraction
from faces.implicit.surface import Effort, Surface, march, no_surface


class Follower:
    """Extracts the frames of one sequence in order, in the same memory.

    In a band around the last frame's surface, a surface is found whole if any of it is there: where it crosses the
    band's rim, the band grows along it (or the frame is searched anew, see `Extraction.rim`). A piece that appears
    away from it is seen at the next refresh.
    """

    def __init__(self, settings: Extraction, anchors: Anchors | None = None) -> None:
        self.settings, self.anchors = settings, anchors
        self._grid = Grid(settings)
        self._samples = Samples(self._grid, settings.chunk)
        self._cells: Indices = np.empty(0, np.int64)
        self._age = 0

    def frame(self, field: Field, motion: float = 0.0) -> Surface:
        """The next frame's surface. The first is searched as a whole.

        motion: how far the surface may have moved since the last frame, in the field's units: widens the band.
        DataError as from `extract`; the next frame is then searched as a whole.
        """
        samples = self._samples
        samples.begin(field)
        last, self._cells = self._cells, np.empty(0, np.int64)
        banded = len(last) > 0 and self._age + 1 < self.settings.refresh
        rim = self._evaluate_band(last, self._layers(motion)) if banded else 0
        cells, mask = samples.cut_cells()
        refreshed = not len(cells) or (rim > 0 and self.settings.rim == "refresh")
        if refreshed:
            search(samples, self.settings, self.anchors)  # what the band has evaluated stays so
            cells, mask = samples.cut_cells()
        if not len(cells):
            raise no_surface(samples)
        self._cells, self._age = cells, 0 if refreshed else self._age + 1
        mesh = march(samples.values, self._grid, mask)
        return Surface(mesh.vertices, mesh.faces, Effort(samples.evaluations, self._grid.size, refreshed, rim))

    def _layers(self, motion: float) -> int:
        """Samples to add around the corners of the cells that held the surface, which reach one voxel by themselves."""
        if not 0 <= motion < math.inf:
            raise DataError(f"the motion since the last frame is {motion}; it must be a finite number from 0 on")
        wider = math.ceil(motion / float(self._grid.spacing.min()))
        return min(self.settings.band - 1 + wider, 3 * self._grid.resolution)

    def _evaluate_band(self, cells: Indices, layers: int) -> int:
        """Evaluate the band and what its rim asks for. How many samples the rim took."""
        samples = self._samples
        band = [kernels.corners_of_cells(samples.state, cells)]
        for _ in range(layers):
            band.append(kernels.neighbours(samples.state, band[-1]))
        numbers = np.concatenate(band)
        numbers.sort()  # neighbours in space are neighbours in a chunk
        samples.evaluate(numbers)
        return samples.follow_rim(numbers)
