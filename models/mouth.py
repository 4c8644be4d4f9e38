"""A moving face as a lip reader sees it: 25 pictures of the mouth a second, with gradients back to the motion.

The published guidance takes frames of any rate for frames of 25 a second ("released"): VOCASET's 30 then run slow
against the sound. Here positions are taken between frames, evenly in time, so that lips and sound stay together.
Shapes: T motion frames, D = 3 V coordinates, T' pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from faces.camera import UP_AXES
from faces.errors import DataError
from faces.mouth.camera import PUBLISHED, MouthCamera
from faces.mouth.renderer import MouthRenderer
from models.sight import PICTURES_PER_SECOND, Sight

FITTED = "fitted"
LEAST_SEEN = 0.2
"""Share of a window that a face must fill; the published views are filled all over."""
LEAST_TRIANGLES = 100
"""That a published view must show; of data whose unit is smaller it shows a few, as large as the window."""


class Mouth:
    """renderer: draws the mouths of one topology. rotation: (3, 3), from the data's axes to right, up, to the viewer;
    None where they are those. fps: of the motion; 0: as if it had 25 frames a second, as released."""

    def __init__(self, renderer: MouthRenderer, fps: float, rotation: Sequence[Sequence[float]] | None = None) -> None:
        self.renderer = renderer
        self.fps = fps
        self.rotation = rotation

    @classmethod
    def of(cls, sight: Sight, camera: str, std: float, *, resampled: bool = True, **options: Any) -> Mouth:
        """camera: "vocaset" or "biwi", as published for these topologies, or "fitted" to the lips. std: what grey is
        divided by. resampled: whether pictures are taken in time, or frame by frame. options: of `MouthRenderer`.
        DataError where the camera cannot be fitted, or does not show this face."""
        if sight.up not in UP_AXES:
            raise DataError(
                f"{sight.source} has {sight.up!r} pointing up, and a mouth can be drawn where y, z or -y does: "
                "preprocess the data with its axes said"
            )
        rotation = UP_AXES[sight.up]
        upright = sight.template @ np.array(rotation, np.float64).T
        view = replace(_fitted(sight, upright) if camera == FITTED else PUBLISHED[camera], std=std)
        mouth = cls(
            MouthRenderer(sight.faces, view, **options),
            sight.fps if resampled else 0.0,
            None if sight.up == "y" else rotation,
        )
        mouth._check_view(upright, camera, sight.source)
        return mouth

    def _check_view(self, upright: np.ndarray, camera: str, source: str) -> None:
        seen = self.renderer.visible(torch.from_numpy(upright)[None].float())
        there = seen[seen >= 0]
        few = camera != FITTED and len(there.unique()) < LEAST_TRIANGLES
        if len(there) >= LEAST_SEEN * seen.numel() and not few:
            return
        if camera == FITTED:
            raise DataError(
                f"a camera that is fitted to the lips of {source} shows next to nothing of its mesh: see that the "
                "region 'lips' is of this topology, and that its axes are as the data say"
            )
        raise DataError(
            f"the camera {camera!r} does not show the mouth of {source}, whose units, place or topology are others: "
            f"set camera = {FITTED!r}"
        )

    def frames(self, motion_frames: int) -> int:
        """T' of T."""
        return motion_frames if not self.fps else max(1, round(motion_frames * PICTURES_PER_SECOND / self.fps))

    def at_rate(self, motion: Tensor) -> Tensor:
        """(T, …) → (T', …): positions at 0, 1/25, 2/25 … s, in between the two frames around, at the end the last."""
        count = self.frames(len(motion))
        if not self.fps or self.fps == PICTURES_PER_SECOND:
            return motion[:count]
        places = torch.arange(count, dtype=torch.float64) * (self.fps / PICTURES_PER_SECOND)
        before = places.floor().long().clamp(max=len(motion) - 1)
        after = (before + 1).clamp(max=len(motion) - 1).to(motion.device)
        share = (places - before).clamp(max=1.0).to(motion).view(-1, *[1] * (motion.ndim - 1))
        before = before.to(motion.device)
        return motion[before] * (1 - share) + motion[after] * share

    def widened(self, rim: int) -> Mouth:
        """The same with so many more pixels on every side."""
        camera, renderer = self.renderer.camera, self.renderer
        (top, bottom), (left, right) = camera.rows, camera.columns
        wide = replace(camera, rows=(top - rim, bottom + rim), columns=(left - rim, right + rim))
        return Mouth(MouthRenderer(renderer.faces, wide), self.fps, self.rotation)

    def pictures(self, motion: Tensor) -> Tensor:
        """(T, D) positions → (T', 1, 88, 88), normalised."""
        vertices = self.at_rate(motion).unflatten(1, (-1, 3))
        if self.rotation is not None:
            vertices = vertices @ torch.tensor(self.rotation).to(vertices).T
        return self.renderer(vertices)


def _fitted(sight: Sight, upright: np.ndarray) -> MouthCamera:
    if sight.lips is None:
        raise DataError(
            f"{sight.source} has no region 'lips', on which the mouth's camera is fitted: give preprocess its list of "
            "vertices (docs/regions.md), or take a published camera"
        )
    return MouthCamera.fit(upright, sight.lips)
