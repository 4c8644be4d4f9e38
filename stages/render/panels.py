"""Panels side by side: the ground truth, the prediction, and the prediction coloured by its distance from the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faces import camera as cameras
from faces.camera import Camera
from faces.errors import DataError
from faces.heatmap import HeatScale
from faces.raster.look import MATTE, PUBLISHED, Look
from faces.renderer import Renderer, SoftRenderer
from stages.kinds.sequences import Sequences

Vertices = NDArray[np.float32]
TINTS: Mapping[str, tuple[float, float, float]] = {
    "mouth_interior": (0.16, 0.045, 0.04),
    "teeth": (1.5, 1.45, 1.3),
    "eyes": (1.6, 1.6, 1.6),
    "iris": (0.22, 0.28, 0.36),
    "pupil": (0.02, 0.02, 0.02),
    "brows": (0.3, 0.27, 0.25),
}
"""Region → linear factor of the grey skin, where the data have such a region; of two, the later. Skin stays grey."""
FITTED_FRAMES = 8
SMALL = 64


@dataclass(frozen=True)
class Style:
    """What all panels of a stage have in common.

    renderer: "soft" or "pyrender". size: pixels a side. background: 8-bit RGB. tints: (V, 3) or None. scale: of the
    error panel, or None where no clip has one. to_unit: a length of the data in the scale's unit.
    """

    renderer: str
    size: int
    supersample: int
    background: tuple[int, int, int]
    tints: NDArray[np.float32] | None
    scale: HeatScale | None
    to_unit: float


class Panels:
    """Draws the frames of one clip."""

    def __init__(self, faces: NDArray[np.int32], camera: Camera, columns: Sequence[str], style: Style) -> None:
        self.columns = tuple(columns)
        self.style = style
        self._skin = make_renderer(style, faces, camera, Look(PUBLISHED, style.background, style.supersample))
        self._heat = self._skin
        if "error" in columns:
            self._heat = make_renderer(style, faces, camera, Look(MATTE, style.background, style.supersample))

    def picture(self, prediction: Vertices, truth: Vertices | None) -> NDArray[np.uint8]:
        """(size, size · columns, 3) of one frame, (V, 3) each."""
        return np.concatenate([self._panel(column, prediction, truth) for column in self.columns], axis=1)

    def _panel(self, column: str, prediction: Vertices, truth: Vertices | None) -> NDArray[np.uint8]:
        if column == "prediction" or truth is None:
            return self._skin.render(prediction, self.style.tints)
        if column == "truth":
            return self._skin.render(truth, self.style.tints)
        assert self.style.scale is not None, "an error panel has a scale"
        errors = np.linalg.norm(prediction - truth, axis=1) * self.style.to_unit
        return self._heat.render(prediction, self.style.scale.colours(errors))


def make_renderer(style: Style, faces: NDArray[np.int32], camera: Camera, look: Look) -> Renderer:
    if style.renderer == "soft":
        return SoftRenderer(faces, camera, look)
    from faces.pyrender_backend import PyrenderRenderer

    return PyrenderRenderer(faces, camera, look)


def rasteriser(renderer: str, faces: NDArray[np.int32]) -> str:
    """What draws here: "pyrender", or, of our own, "numba" or "numpy"."""
    return SoftRenderer(faces, cameras.voca(SMALL)).backend if renderer == "soft" else renderer


def tints(data: Sequences) -> NDArray[np.float32] | None:
    """(V, 3) linear factors for what is not skin (inside of the mouth, eyes, …), where the data name it; else None."""
    colours = np.ones((data.info.vertices, 3), np.float32)
    found = False
    for name, colour in TINTS.items():
        region = data.region(name)
        if region is not None and len(region):
            colours[region], found = colour, True
    return colours if found else None


def few_frames(count: int) -> list[int]:
    """A few of so many frames, evenly over all: enough to frame a clip."""
    found: list[int] = np.linspace(0, count - 1, FITTED_FRAMES).round().astype(int).tolist()
    return found


def clip_camera(kind: str, size: int, seen: Sequence[Vertices], up: str) -> Camera:
    """The camera of a clip: a published one, or one that frames all of several meshes (V, 3)."""
    if kind == "voca":
        return cameras.voca(size)
    if kind == "biwi":
        return cameras.biwi(size)
    if up not in cameras.UP_AXES:
        raise DataError(f"the data's up axis is {up!r}; camera 'fit' knows y, z and -y: write camera = 'voca'")
    return cameras.fit(np.concatenate(seen), size, up)
