"""What a SyncNet is shown: crops of faces, 224 pixels a side, 25 a second, of motion in a mesh or of surfaces.

The look is that of `render`; holes are black, as an open mouth is in films. Of each sentence there is one camera, put
before the subject's neutral face, or a surface's first frame, where the head is on the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faces.camera import Camera
from faces.errors import DataError
from faces.face_crop import FaceCrop, Lips, upright
from faces.ply import Mesh
from faces.raster.look import PUBLISHED, Look
from faces.renderer import SoftRenderer
from models.syncnet.net import SIDE
from models.syncnet.timing import Moment, moments
from stages.kinds.sequences import Sequences
from stages.kinds.surfaces import FIXED, Surfaces
from stages.render.panels import few_frames, tints

Picture = NDArray[np.uint8]
Motion = NDArray[np.floating]
LOOK = Look(PUBLISHED, background=(0, 0, 0), supersample=2)
LIPS = "lips"


@dataclass(frozen=True, eq=False)
class Studio:
    """Draws the faces of a data set. tints: (V, 3) of what is no skin, or None."""

    data: Sequences
    lips: NDArray[np.int64]
    tints: NDArray[np.float32] | None

    @classmethod
    def of(cls, data: Sequences, *, coloured: bool) -> Studio:
        """coloured: mouth, teeth and eyes in colours of their own where the data name them, which surfaces have not.
        DataError where the data do not say where lips are."""
        lips = data.region(LIPS)
        if lips is None:
            raise DataError(
                f"{data.path} has no region {LIPS!r}, by which faces are cut out: give preprocess its list of vertices "
                "(docs/regions.md)"
            )
        return cls(data, lips, tints(data) if coloured else None)

    def of_motion(self, motion: Motion, subject: str, name: str, count: int) -> Iterator[Picture]:
        """The first `count` pictures of (T, V, 3) at the data's rate; between two frames vertices are in between."""
        rest = self.data.template_for(subject, name)
        renderer = SoftRenderer(self.data.faces, self._camera(rest, _whereabouts(motion, rest)), LOOK)
        for moment in moments(len(motion), self.data.fps)[:count]:
            yield renderer.render(_at(motion, moment), self.tints)

    def of_rest(self, subject: str, name: str) -> Picture:
        """A subject's neutral face."""
        rest = self.data.template_for(subject, name)
        return SoftRenderer(self.data.faces, self._camera(rest, np.zeros(3)), LOOK).render(rest, self.tints)

    def of_surfaces(self, surfaces: Surfaces, name: str, count: int) -> Iterator[Picture]:
        """The same of surfaces. Where each frame has triangles of its own there is nothing in between, so that the
        frame that is nearer in time is shown, as the authors' tool shows frames of other rates."""
        item = surfaces.items[name]
        rest = self.data.template_for(item.subject, name)
        camera = self._camera(rest, np.zeros(3), surfaces.frame(name, 0).vertices)
        for moment in moments(item.frames, surfaces.info.fps)[:count]:
            yield _drawn(surfaces, name, moment, camera)

    def _camera(
        self, rest: NDArray[np.floating], moved: NDArray[np.floating], shown: NDArray[np.floating] | None = None
    ) -> Camera:
        """rest: the subject's neutral face, which says where the lips are. shown: (V', 3) what has chin and nose, where
        that is another mesh."""
        up = self.data.info.up
        try:
            face = upright(rest, up)
            crop = FaceCrop.of(face if shown is None else upright(shown, up), Lips.of(face, self.lips))
        except DataError as error:
            raise DataError(f"no face can be cut out of {self.data.path}: {error}") from error
        return crop.camera(SIDE, up, moved)


def _whereabouts(motion: Motion, rest: NDArray[np.floating]) -> NDArray[np.float64]:
    """(3,) how far the head is from where it rests: the middle of what vertices do, most of which speech moves not."""
    few: Sequence[int] = few_frames(len(motion))
    found: NDArray[np.float64] = np.median(np.asarray(motion[few], np.float64) - rest, axis=(0, 1))
    return found


def _at(motion: Motion, moment: Moment) -> NDArray[np.float32]:
    before, after = (np.asarray(motion[frame], np.float32) for frame in (moment.before, moment.after))
    between: NDArray[np.float32] = before + np.float32(moment.share) * (after - before)  # exact where nothing moves
    return between


def _drawn(surfaces: Surfaces, name: str, moment: Moment, camera: Camera) -> Picture:
    if surfaces.info.topology == FIXED:
        first = surfaces.frame(name, moment.before)
        between = _at(
            np.stack([first.vertices, surfaces.frame(name, moment.after).vertices]), Moment(0, 1, moment.share)
        )
        mesh = Mesh(between, first.faces)
    else:
        mesh = surfaces.frame(name, moment.nearest)
    return SoftRenderer(mesh.faces, camera, LOOK).render(mesh.vertices)
