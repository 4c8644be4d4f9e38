"""Newton's steps onto the zero level of a field whose gradient is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.implicit.grid import Points

Array = NDArray[np.float64]
Slope = Callable[[Points], tuple[NDArray[np.floating], NDArray[np.floating]]]
"""(N, 3) float32 points → (N,) values of a field and their (N, 3) gradients."""


def sloped(slope: Slope, points: Array, chunk: int) -> tuple[Array, Array]:
    """Values (N,) and gradients (N, 3), asked for in chunks. DataError where they are not finite."""
    values, gradients = np.empty(len(points)), np.empty((len(points), 3))
    for at in range(0, len(points), chunk):
        asked = points[at : at + chunk].astype(np.float32)
        value, gradient = slope(asked)
        if np.shape(value) != (len(asked),) or np.shape(gradient) != (len(asked), 3):
            raise ValueError(
                f"a slope must give ({len(asked)},) values and ({len(asked)}, 3) gradients for as many points, not"
                f" {np.shape(value)} and {np.shape(gradient)}"
            )
        values[at : at + chunk], gradients[at : at + chunk] = value, gradient
    good = np.isfinite(values) & np.isfinite(gradients).all(axis=1)
    if not good.all():
        raise DataError(
            f"the field or its gradient is NaN or infinite at {np.count_nonzero(~good)} of {len(points)} points"
        )
    return values, gradients


def step(values: Array, gradients: Array, largest: float) -> Array:
    """(N, 3): -f ∇f / |∇f|², no longer than `largest`; nothing where the gradient vanishes."""
    square = np.square(gradients).sum(axis=1)
    steps = -(np.divide(values, square, out=np.zeros_like(values), where=square > 1e-12))[:, None] * gradients
    length = np.linalg.norm(steps, axis=1, keepdims=True)
    return steps * np.minimum(1, largest / np.maximum(length, 1e-300))


def onto(slope: Slope, points: Array, steps: int, largest: float, chunk: int) -> Array:
    """Points (N, 3) after so many steps, none longer than `largest`."""
    for _ in range(steps):
        points = points + step(*sloped(slope, points, chunk), largest)
    return points
