"""The camera of the mouth video: scaled orthographic, a square picture, and the window of it that a lip reader gets.

Published by "audio-visual guidance" (arXiv 2407.01034) for VOCASET and BIWI; `MouthCamera.fit` has the same view of any
other head. x runs to the picture's right, y up, z to the viewer. The published code draws the whole picture, crops it
to 96×96 and that to 88×88; here only the last window is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-8
"""Guard of the division by a triangle's doubled area, and the area below which one is left out; both where the picture
is 2 wide and 2 high. The published rasteriser's."""
EYE = 10.0
"""A triangle with a corner this many half pictures in front of the middle, or more, is behind the eye: left out."""
LIP_WIDTH = 52.1
"""Pixels: the width of FLAME's 250 lip vertices in the published view of VOCASET, on VOCA's sample mesh."""


@dataclass(frozen=True)
class Window:
    """The part of a picture that is drawn. left, top: its rims in pixels from the picture's middle, right and down."""

    left: float
    top: float
    width: int
    height: int


@dataclass(frozen=True)
class MouthCamera:
    """scale: half pictures per unit of the mesh. middle: the point (x, y, z) that appears in the picture's middle.

    picture: pixels a side of the whole. rows, columns: [first, past the last) of the window. mean, std: what the grey
    is normalised by; the recogniser's own training had std 0.165. least_normal: vertices whose triangles' doubled
    areas, in the mesh's unit squared, add up to less get a normal shorter than 1.
    """

    scale: float
    middle: tuple[float, float, float] = (0.0, 0.0, 0.0)
    picture: int = 224
    rows: tuple[int, int] = (111, 199)
    columns: tuple[int, int] = (67, 155)
    mean: float = 0.421
    std: float = 0.4
    least_normal: float = 1e-6

    def __post_init__(self) -> None:
        positive = {"scale": self.scale, "std": self.std, "picture": self.picture, "least_normal": self.least_normal}
        for name, value in positive.items():
            if not (np.isfinite(value) and value > 0):
                raise DataError(f"the mouth camera's {name} is {value}; it must be above 0")
        for name, (first, end) in (("rows", self.rows), ("columns", self.columns)):
            if not 0 <= first < end <= self.picture:
                raise DataError(
                    f"the mouth camera's {name} {first} … {end} are no part of a picture of {self.picture} pixels"
                )

    @classmethod
    def fit(cls, template: NDArray[np.floating], lips: NDArray[np.integer], std: float = 0.4) -> MouthCamera:
        """The view of a head in any units, its lips in the middle of the window and as wide as VOCASET's.

        template: (V, 3) a neutral face, y up, looking along +z. lips: (N,) the vertices of its lips, and of no more
        of the mouth than FLAME's mask `lips` has. DataError where they are no vertices of it, or not in one place.
        """
        points = _lips_of(template, lips)
        low, high = points.min(axis=0), points.max(axis=0)
        if not high[0] > low[0]:
            raise DataError("a mouth camera cannot be fitted: the lips have no width; give the vertices of whole lips")
        view = cls(1.0, std=std)
        scale = float(LIP_WIDTH / (view.picture / 2) / (high[0] - low[0]))
        window, pixel = view.window, 1 / (view.half * scale)
        right, down = window.left + window.width / 2, window.top + window.height / 2
        x, y, z = (low + high) / 2 + [-right * pixel, down * pixel, 0.0]
        # A thousandth of a pixel, squared: only what is nothing in the picture has no normal, whatever the units.
        return cls(scale, (float(x), float(y), float(z)), std=std, least_normal=float(1e-3 * pixel) ** 2)

    @property
    def half(self) -> float:
        """Pixels of half a picture."""
        return self.picture / 2

    @property
    def window(self) -> Window:
        (top, bottom), (left, right) = self.rows, self.columns
        return Window(left - self.half, top - self.half, right - left, bottom - top)

    @property
    def whole(self) -> Window:
        """All of the picture."""
        return Window(-self.half, -self.half, self.picture, self.picture)

    @property
    def least_area(self) -> float:
        """Doubled area of a triangle in square pixels below which it is left out; also the guard of divisions by it."""
        return EPSILON * self.half**2

    @property
    def factors(self) -> tuple[float, float, float]:
        """What the three coordinates are multiplied by."""
        return self.scale * self.half, -self.scale * self.half, self.scale

    def project(self, vertices: Tensor) -> Tensor:
        """(…, 3) of the mesh → (…, 3): pixels right and down of the picture's middle, half pictures to the viewer."""
        return (vertices - vertices.new_tensor(self.middle)) * vertices.new_tensor(self.factors)


def _lips_of(template: NDArray[np.floating], lips: NDArray[np.integer]) -> NDArray[np.float64]:
    template, lips = np.asarray(template, np.float64), np.asarray(lips)
    if template.ndim != 2 or template.shape[1] != 3:
        raise DataError(f"a mouth camera is fitted to a template (V, 3), not to an array of shape {template.shape}")
    if lips.ndim != 1 or not lips.size or lips.dtype.kind not in "iu":
        raise DataError(
            "a mouth camera is fitted to a list of lip vertices, whole numbers, of which there must be some"
        )
    if lips.min() < 0 or lips.max() >= len(template):
        wrong = lips.min() if lips.min() < 0 else lips.max()
        raise DataError(f"the lips name vertex {wrong} of a mesh of {len(template)}; use the region of this topology")
    points: NDArray[np.float64] = template[lips]
    if not np.isfinite(points).all():
        raise DataError("a mouth camera cannot be fitted to lips with NaN or infinity among their vertices")
    return points


VOCASET = MouthCamera(8.0)
"""VOCASET, in metres."""
BIWI = MouthCamera(1.6, columns=(72, 160))
"""BIWI, in its unit-area scale."""
PUBLISHED = {"vocaset": VOCASET, "biwi": BIWI}
