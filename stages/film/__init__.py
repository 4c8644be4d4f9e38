"""The stage `film`: surfaces of a head model as videos with their sound, beside the ground truth where there is one.

What `render` is to predictions in the data's topology: the same look, camera, captions, sound and stills, of meshes
whose triangles may be others in every frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pipeline.stage import Given, Items, Job, Needs, Slot, Stage, Upstream, param
from stages.kinds.sequences import INDEX, REGIONS, SOUND, TEMPLATES, TOPOLOGY, VERTICES
from stages.kinds.surfaces import MESHES, Surfaces, by_folder
from stages.render.clips import clip_items, picture_problems
from stages.render.settings import PRESETS

COLUMNS = ("truth", "prediction")


@dataclass(frozen=True)
class Params:
    size: int = param(512, low=64, high=4096, help="pixels a side of one panel, even")
    columns: list[str] = param(
        list(COLUMNS), choices=COLUMNS, help="panels from left to right; without ground truth only the surface"
    )
    camera: str = param(
        "fit",
        choices=("fit", "voca", "biwi"),
        help="fit: frames the head, any units; voca, biwi: as the published renderers of these data sets do",
    )
    supersample: int = param(2, low=1, high=2, help="samples a side of a pixel: 2 smooths edges, 1 is twice as fast")
    background: str = param("white", help="white, black, or a colour as #rrggbb")
    limit: int = param(6, low=0, selects=True, help="how many clips, spread over subjects, then sentences; 0: all")
    splits: list[str] = param([], selects=True, help="only clips of these splits of the data; empty: all")
    captions: bool = param(True, help="a line above the panels that names them")
    stills: int = param(
        2, low=0, high=100, help="pictures per clip: mouth widest open, most closed, then evenly spaced"
    )
    crf: int = param(18, low=0, high=51, help="x264's constant quality; lower is better and larger")
    preset: str = param("veryfast", choices=PRESETS, help="x264's speed")


class Film(Stage):
    """`surfaces`, over the `sequences` they belong to → `video`."""

    name = "film"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = {
        "data": Slot("sequences", uses=(INDEX, TEMPLATES, TOPOLOGY, REGIONS, VERTICES, SOUND)),
        "surfaces": Slot("surfaces"),
    }
    output = "video"
    libraries = ("numpy", "numba", "av", "pillow")

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        return upstream["surfaces"].label

    def check(self) -> Iterable[str]:
        return picture_problems(self.params)

    def needs(self) -> Needs:
        return Needs(threads="any")

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        """A clip: of its meshes, what is known of it, its truth, its sound and its subject's template."""
        meshes = by_folder(given["surfaces"].files)
        made = Surfaces(given["surfaces"].path)
        return clip_items(given, made, self.params, lambda name: [meshes.get(f"{MESHES}/{name}")])

    def run(self, job: Job) -> None:
        from stages.film.shoot import shoot

        shoot(job, self.params)
