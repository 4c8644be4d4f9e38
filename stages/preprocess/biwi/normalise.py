"""Heads brought to one place and size, by one of three rules.

As CodeTalker published it (Xing et al., CVPR 2023, and all who use its data): every frame, and every template, is
turned by π about x, moved so that the mean of its vertices is 0, and divided by the square root of its area. An opening
mouth moves the mean and enlarges the area, so that the whole head moves and shrinks a little with speech. By the
subject's template, it stays as it was recorded: one centre and one scale for all its frames. By the template's extents,
as FaceXHuBERT (Haque and Yumak, ICMI 2023) has it, each axis has a scale of its own and nothing is turned. Arithmetic
is float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from stages.preprocess.biwi.kernels import area_of, mean_of, move, move_each, round_to

__all__ = ["Place", "all_alike", "each_by_itself", "round_to"]

Array = NDArray[np.float64]
Faces = NDArray[np.int32]

TURN = np.array([1.0, -1.0, -1.0])
"""A half turn about x. The corpus has y downwards and z away from the viewer."""
TOLERANCE = 1e-4
"""What float32 leaves of a mean of 0 and a size of 1, with room to spare."""


@dataclass(frozen=True)
class Place:
    """Where a head is, centre (3,), and how large: scale, the square root of its area, and extent (3,) of each axis."""

    centre: Array
    scale: float
    extent: Array

    @classmethod
    def of(cls, vertices: NDArray[np.floating], faces: Faces, where: str) -> Place:
        """Of one head (V, 3). DataError, about `where`, for one without area."""
        size, centre = area_of(vertices, faces), np.empty(3)
        if not size > 0:
            raise DataError(f"{where} has no area; take another copy of it")
        mean_of(vertices, centre)
        return cls(centre, float(np.sqrt(size)), np.ptp(vertices.astype(np.float64), axis=0))

    def is_normalised(self, rule: str = "frame") -> bool:
        """Whether a head that lies here has been normalised: by its area, or a template by its extents ("extent")."""
        sizes = self.extent if rule == "extent" else np.array([self.scale])
        return bool(np.abs(sizes - 1).max() < TOLERANCE and np.abs(self.centre).max() < TOLERANCE)

    def factor(self, rule: str, where: str) -> Array:
        """(3,): what brings a head of this place to size, and turns it where the rule does."""
        if rule != "extent":
            return TURN / self.scale
        if not self.extent.all():
            raise DataError(f"{where} is flat and has no size along every axis; take another copy of it")
        return 1 / self.extent


def each_by_itself(frames: NDArray[np.floating], faces: Faces, where: str) -> NDArray[np.floating]:
    """Normalise (T, V, 3) as CodeTalker published it, in place. DataError, about `where`, for a frame without area."""
    if move_each(frames, faces, TURN) >= 0:
        raise DataError(f"{where} has a frame without area; take another copy of it")
    return frames


def all_alike(frames: NDArray[np.floating], place: Place, rule: str, where: str) -> NDArray[np.floating]:
    """Normalise (T, V, 3) by a template's place, in place. rule: "template" or "extent"."""
    move(frames, place.centre, place.factor(rule, where))
    return frames
