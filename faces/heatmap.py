"""Per-vertex errors as colours, with a scale that can be read off.

The map goes from a pale grey-blue through yellow, orange and red to a dark magenta, its lightness falling evenly in
OKLab (Ottosson 2020): zero looks like bare plaster, and larger errors are darker and redder, also in a black-and-white
print. It is made here from the five colours below.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.raster.look import to_bytes

STEPS = 256
ROUND_STEPS = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)
ANCHORS = ((0.90, 0.015, 250), (0.79, 0.120, 95), (0.67, 0.160, 62), (0.53, 0.190, 30), (0.38, 0.160, -5))
"""Lightness, chroma and hue in degrees, equally spaced from no error to the scale's end."""
LAB_TO_LMS = ((1, 0.3963377774, 0.2158037573), (1, -0.1055613458, -0.0638541728), (1, -0.0894841775, -1.2914855480))
LMS_TO_RGB = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)


@cache
def colour_table() -> NDArray[np.float32]:
    """(STEPS, 3) linear colours, from no error to the end of the scale."""
    lightness, chroma, hue = np.array(ANCHORS).T
    corners = np.stack([lightness, chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue))])
    steps = np.linspace(0, len(ANCHORS) - 1, STEPS)
    lab = np.stack([np.interp(steps, np.arange(len(ANCHORS)), row) for row in corners])
    table = (np.array(LMS_TO_RGB) @ (np.array(LAB_TO_LMS) @ lab) ** 3).T
    return np.clip(table, 0, 1).astype(np.float32)


@dataclass(frozen=True)
class HeatScale:
    """Colours for errors from 0 to `high`, which is in `unit` ("mm"); larger errors get the last colour."""

    high: float
    unit: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.high) and self.high > 0):
            raise DataError(f"an error scale must end above zero, not at {self.high} {self.unit}")

    def colours(self, errors: NDArray[np.floating]) -> NDArray[np.float32]:
        """(V,) errors in the scale's unit → (V, 3) linear colours."""
        index = np.clip(np.asarray(errors) * ((STEPS - 1) / self.high) + 0.5, 0, STEPS - 1)
        return colour_table()[index.astype(np.int64)]

    def bar(self, width: int, height: int) -> NDArray[np.uint8]:
        """(height, width, 3): the legend, from 0 at the left to `high` at the right."""
        row = to_bytes(colour_table()[np.linspace(0, STEPS - 1, width).round().astype(np.int64)])
        return np.repeat(row[None], height, axis=0)

    @property
    def end(self) -> str:
        """What stands at the bar's right end, e.g. "5 mm"."""
        return f"{self.high:.3g} {self.unit}"


def nice_end(value: float) -> float:
    """The smallest round number that is not below a positive value: where a scale may end."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(float(f"{step * power:.3g}") for step in ROUND_STEPS if step * power >= value * (1 - 1e-9))
