"""What both rasterisers are given: a mesh already projected and lit from the camera, and the numbers of a look."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field

import numpy as np
from numpy.typing import NDArray

from faces.camera import Camera
from faces.raster.look import CONTINUITY, Look, transfer_table


@dataclass(frozen=True)
class Scene:
    """One frame.

    screen: (V, 3) float32 x, y in samples and 1 / distance, 0 where a vertex cannot be seen (`Camera.project`).
    seen: (V, 3) float32 vertices in the camera's axes. colours: (V, 3) float32 linear, or (0, 3) for none.
    """

    screen: NDArray[np.float32]
    seen: NDArray[np.float32]
    colours: NDArray[np.float32]


@dataclass(frozen=True)
class Optics:
    """Camera and look as the inner loops want them.

    view: (1 / focal, centre) in samples. material: base, metallic, roughness, intensity, ambient. tolerance: spread of
    1 / distance in a pixel, relative, up to which it counts as one surface.
    """

    size: int
    supersample: int
    view: NDArray[np.float32]
    material: NDArray[np.float32]
    background: NDArray[np.float32]
    tolerance: np.float32
    table: NDArray[np.float32] = field(default_factory=transfer_table)

    @classmethod
    def of(cls, camera: Camera, look: Look) -> Optics:
        return cls(
            camera.size,
            look.supersample,
            np.array([1 / (camera.focal * look.supersample), camera.size * look.supersample / 2], np.float32),
            np.array(astuple(look.material), np.float32),
            np.array(look.background, np.float32),
            np.float32(CONTINUITY / camera.focal),
        )

    @property
    def samples(self) -> int:
        """Samples a side."""
        return self.size * self.supersample
