"""From a data set's own axes and unit to the artifact's: y up and the face along +z, or z up and -y; metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.preprocess.own.description import METRES

KEPT = {("y", "z"): "y", ("z", "-y"): "z"}
"""(up, front) that everything later understands → up. All others are turned to the first."""


@dataclass(frozen=True)
class Upright:
    """turn: (3, 3) rows x, y, z of the result, in the data's axes; None: nothing is turned. up, units: after it."""

    turn: NDArray[np.float32] | None
    scale: float
    up: str
    units: str

    @classmethod
    def of(cls, up: str, front: str, units: str) -> Upright:
        kept = KEPT.get((up, front))
        axes = None
        if kept is None:
            top, nose = _axis(up), _axis(front)
            axes = np.stack([np.cross(top, nose), top, nose]).astype(np.float32)  # a rotation, never a mirror
        return cls(axes, METRES.get(units, 1.0), kept or "y", "m" if units in METRES else units)

    def __call__(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """(…, 3)."""
        turned = points if self.turn is None else points @ self.turn.T
        return turned if self.scale == 1 else (turned * np.float32(self.scale)).astype(np.float32)


def _axis(word: str) -> NDArray[np.float64]:
    axis = np.zeros(3)
    axis["xyz".index(word[-1])] = -1.0 if word.startswith("-") else 1.0
    return axis
