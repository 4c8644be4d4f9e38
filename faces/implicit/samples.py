"""What is known of a field on a grid: the samples evaluated so far, and how many those are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.implicit import kernels
from faces.implicit.grid import Grid, Indices, Points

Field = Callable[[Points], NDArray[np.floating]]
"""(N, 3) float32 points → (N,) values, negative inside."""


class Samples:
    """A grid's samples of one field. Takes five bytes for each sample of the grid, evaluated or not."""

    def __init__(self, grid: Grid, chunk: int) -> None:
        self.grid, self.chunk = grid, chunk
        self.values: NDArray[np.float32] = np.zeros(grid.shape, np.float32)
        self.state: NDArray[np.uint8] = np.zeros(grid.shape, np.uint8)
        self._mask: NDArray[np.bool_] = np.zeros(grid.shape, np.bool_)
        self.evaluations = 0

    def begin(self, field: Field) -> None:
        """Forget all that is known, for another field. Memory is used again."""
        self.field = field
        self.state[:] = 0
        self.evaluations = 0

    def evaluate(self, numbers: Indices) -> None:
        """Evaluate the field at samples by number. DataError where it is not finite."""
        values, state = self.values.reshape(-1), self.state.reshape(-1)
        for start in range(0, len(numbers), self.chunk):
            part = numbers[start : start + self.chunk]
            values[part] = asked(self.field, self.grid.points(part))
        state[numbers] = kernels.SIGNED | kernels.EVALUATED
        self.evaluations += len(numbers)

    def want(self, numbers: Indices) -> None:
        """Evaluate those of the samples that are not evaluated yet. Numbers may occur more than once."""
        self.evaluate(kernels.claim(self.state, numbers))

    def above(self, numbers: Indices) -> NDArray[np.bool_]:
        """Whether evaluated samples lie outside."""
        return np.asarray(self.values.reshape(-1)[numbers] > 0)

    def follow_rim(self, numbers: Indices) -> int:
        """Evaluate what is missing of the cells around these samples that change sign, then of the cells around
        those, until none is left: no surface that was met ends where nobody looked. How many samples that took."""
        before = self.evaluations
        while len(numbers):
            numbers = kernels.rim(self.values, self.state, numbers)
            self.evaluate(numbers)
        return self.evaluations - before

    def cut_cells(self) -> tuple[Indices, NDArray[np.bool_]]:
        """Numbers of the cells that hold the surface, and the mask of them that marching cubes takes."""
        return kernels.cut_cells(self.values, self.state, self._mask), self._mask


def asked(field: Field, points: Points) -> NDArray[np.float32]:
    """The field's values (N,) float32. DataError where they are NaN or infinite, ValueError for another shape."""
    values = np.asarray(field(points), np.float32)
    if values.shape != (len(points),):
        raise ValueError(f"a field must give ({len(points)},) values for as many points, not {values.shape}")
    good = np.isfinite(values)
    if not good.all():
        where = ", ".join(f"{x:.4g}" for x in points[np.flatnonzero(~good)[0]])
        raise DataError(
            f"the field is NaN or infinite at {np.count_nonzero(~good)} of {len(points)} points, the first is ({where})"
            "; look at the codes and weights that it is made of"
        )
    return values
