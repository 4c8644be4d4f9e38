"""How much of a deformation counts where: all of it around the mouth, none at the neck and hair, which else jitter.

FaceTalk weights its head model's deformation, and hyper coordinates, with a Gaussian around the mouth; the constants
are not published. As there is no head pose in talking codes, the identity's shape is right where the weight is 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError

LIP_ANCHORS = (34, 35)
"""The two in the middle of the lips, of the set of 39."""


@dataclass(frozen=True)
class FacialWeight:
    """1 within a radius of the mouth, a Gaussian's fall beyond. In NPHM's units; the defaults keep blinks and brows."""

    centre: tuple[float, float, float] = (0.0, -0.20, 0.21)
    """The mouth. The default is the mean head's."""
    radius: float = 0.40
    """Up to here all counts. 0 is the paper's plain Gaussian."""
    sigma: float = 0.15
    """Of the Gaussian that begins there."""

    def __post_init__(self) -> None:
        if not self.radius >= 0 or not self.sigma > 0:
            raise DataError(f"radius is {self.radius} and sigma {self.sigma}; they must be from 0 on, and above 0")

    @classmethod
    def of_anchors(cls, anchors: NDArray[np.floating], radius: float = 0.40, sigma: float = 0.15) -> FacialWeight:
        """Centred between the lips' middle anchors of a head's own (39, 3)."""
        if anchors.shape != (39, 3):
            raise DataError(f"the mouth is found in the set of (39, 3) anchors, not in one of shape {anchors.shape}")
        x, y, z = anchors[list(LIP_ANCHORS)].mean(axis=0).tolist()
        return cls((x, y, z), radius, sigma)

    def __call__(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """(N, 3) points → (N,) float32 weights in [0, 1]."""
        away = np.linalg.norm(points - np.asarray(self.centre), axis=-1)
        beyond = np.maximum(away - self.radius, 0.0)
        return np.exp(-np.square(beyond) / (2 * self.sigma**2)).astype(np.float32)
