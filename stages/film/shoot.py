"""The work of the stage `film`: from meshes to videos, clip by clip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.ply import Mesh
from pipeline.stage import Job
from stages.film import Params
from stages.kinds.plain import write_json
from stages.kinds.sequences import Sequences
from stages.kinds.surfaces import Surfaces, check_alike, mesh_file
from stages.render.captions import caption_strip, strip_height
from stages.render.choice import Clip, choose
from stages.render.panels import Panels, Style, clip_camera, few_frames, rasteriser, tints
from stages.render.reel import INDEX, STILLS, Reel
from stages.render.settings import parse_colour
from stages.render.stills import informative_frames, mouth_opening
from stages.render.video import exact_rate

Picture = NDArray[np.uint8]


def shoot(job: Job, params: Params) -> None:
    """Fill `job.out` with videos, stills and `video.json`."""
    data, surfaces = Sequences(job.inputs["data"].path), Surfaces(job.inputs["surfaces"].path)
    check_alike(data, surfaces)
    clips = choose(data, surfaces, params.columns, params.splits, params.limit)
    reel = Reel(data, job.out, exact_rate(data.fps), params.crf, params.preset)
    studio = Studio(data, surfaces, params, reel)
    (job.out / STILLS).mkdir(exist_ok=True)
    by_name = {clip.name: clip for clip in clips}
    reel.say_what_lacks(job, clips, params.columns)
    job.each(list(by_name), lambda name: studio.film(by_name[name]), unit="clips", threads=job.workers)
    facts = {
        "fps": float(reel.rate),
        "rate": str(reel.rate),
        "size": params.size,
        "camera": params.camera,
        "renderer": "soft",
        "rasteriser": rasteriser("soft", data.faces),
        "error_scale": None,
        "clips": {clip.name: reel.facts(clip, studio.stills(clip)) for clip in clips},
    }
    write_json(job.out / INDEX, facts)


@dataclass(frozen=True)
class Studio:
    """Films one clip at a time; threads may share it."""

    data: Sequences
    surfaces: Surfaces
    params: Params
    reel: Reel

    def film(self, clip: Clip) -> list[Path]:
        """Make one clip's video and stills; returns their paths."""
        side, lines = self.params.size, int(self.params.captions)
        size = (side * len(clip.columns), side + lines * strip_height(side))
        return self.reel.record(clip, size, self._draw(clip), self.stills(clip))

    def stills(self, clip: Clip) -> list[int]:
        """The frames that become pictures, chosen by the truth's mouth, or the surface's where there is no truth."""
        if clip.has_truth:
            curve = mouth_opening(self.data.vertices(clip.item.id)[: clip.frames], self.data)
        else:
            curve = np.array(self.surfaces.info.made[clip.name].openness[: clip.frames])
        return informative_frames(curve, self.params.stills)

    def _draw(self, clip: Clip) -> Iterator[Picture]:
        params = self.params
        # Of the skin's colours each mesh has its own number of vertices, so that only the data's topology is tinted.
        plain = Style("soft", params.size, params.supersample, parse_colour(params.background), None, None, 1.0)
        tinted = Style("soft", params.size, params.supersample, plain.background, tints(self.data), None, 1.0)
        truth = self.data.vertices(clip.item.id) if clip.has_truth else None
        camera = clip_camera(params.camera, params.size, self._seen(clip, truth), self.data.info.up)
        beside = Panels(self.data.faces, camera, ["truth"], tinted)
        names = {"truth": "ground truth", "prediction": self._title(clip)}
        titles = [names[column] for column in clip.columns]
        strip = caption_strip(titles, [None] * len(titles), params.size, plain.background)

        def panel(column: str, mesh: Mesh, true: NDArray[np.float32] | None) -> Picture:
            if column == "truth" and true is not None:
                return beside.picture(true, true)
            return Panels(mesh.faces, camera, ["prediction"], plain).picture(mesh.vertices, None)

        for number in range(clip.frames):
            mesh = self.surfaces.frame(clip.name, number)
            true = None if truth is None else truth[number]
            try:
                parts = [panel(column, mesh, true) for column in clip.columns]
            except DataError as error:
                raise DataError(f"{mesh_file(self.surfaces.path, clip.name, number)}: {error}") from error
            picture = np.concatenate(parts, axis=1)
            yield np.concatenate([strip, picture]) if params.captions else picture

    def _seen(self, clip: Clip, truth: NDArray[np.float32] | None) -> Sequence[NDArray[np.float32]]:
        """Meshes that the camera frames: the truth's as `render` does, so that both films look alike; else a few of the
        surface's own."""
        if truth is None:
            return [self.surfaces.frame(clip.name, number).vertices for number in sorted(set(few_frames(clip.frames)))]
        template = self.data.template_for(clip.item.subject, clip.name)
        return [template, *truth[: clip.frames][few_frames(clip.frames)]]

    def _title(self, clip: Clip) -> str:
        return self.surfaces.info.in_style(f"{self.surfaces.info.model}, surface", clip.item)
