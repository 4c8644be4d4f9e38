"""What a network is told of the faces that it will look at. Light to import: NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

PICTURES_PER_SECOND = 25
"""Of every lip reader here: 640 samples of its sound are one picture."""


@dataclass(frozen=True, eq=False)
class Sight:
    """faces: (F, 3), counter-clockwise seen from outside. template: (V, 3), a mean neutral face. lips: indices, or None
    where the data do not tell. up: the axis that points up (`faces.camera.UP_AXES`). fps: of the motion. source: where
    the data are, for messages."""

    faces: NDArray[np.int32]
    template: NDArray[np.float64]
    lips: NDArray[np.int64] | None
    up: str
    fps: float
    source: str


class Spelling(Protocol):
    """What cuts transcripts into a lip reader's pieces of text. The module of a model that wants them offers it:
    `spelling(settings, expert: DataFacts | None) -> Spelling`."""

    def pieces(self, text: str) -> list[int]:
        """Classes, without what begins and ends a text; empty for a text of which nothing can be written."""
        ...

    def content(self) -> Mapping[str, Any]:
        """All there is to the tokeniser, for JSON."""
        ...
