"""The grid of samples: 'ij' order, x slowest; sample i of an axis lies at low + i (high - low) / (resolution - 1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from faces.implicit.settings import Extraction

Indices = NDArray[np.int64]
Points = NDArray[np.float32]


class Grid:
    """Where the samples of an extraction lie. A sample's number is (ix R + iy) R + iz."""

    def __init__(self, settings: Extraction) -> None:
        settings.check()
        self.resolution = settings.resolution
        self.low, self.high = np.array(settings.low, np.float64), np.array(settings.high, np.float64)
        self.spacing: NDArray[np.float64] = (self.high - self.low) / (self.resolution - 1)
        self._axes = [
            np.linspace(low, high, self.resolution).astype(np.float32)
            for low, high in zip(self.low, self.high, strict=True)
        ]

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.resolution,) * 3

    @property
    def size(self) -> int:
        return self.resolution**3

    def points(self, numbers: Indices) -> Points:
        """(N, 3) float32 positions of samples by number."""
        places = np.unravel_index(numbers, self.shape)
        return np.stack([axis[place] for axis, place in zip(self._axes, places, strict=True)], axis=1)

    def numbers(self, places: Sequence[Indices] | Indices) -> Indices:
        """Numbers of samples given by (3, N) integer places."""
        x, y, z = places
        found: Indices = (x * self.resolution + y) * self.resolution + z
        return found

    def to_world(self, vertices: NDArray[np.floating]) -> Points:
        """(V, 3) float32 positions of (V, 3) counted in voxels."""
        return (vertices.astype(np.float64) * self.spacing + self.low).astype(np.float32)
