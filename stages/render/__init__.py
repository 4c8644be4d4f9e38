"""The stage `render`: predictions as videos with their sound, beside the ground truth and the error where there is one.

H.264 and AAC in mp4 at the data's exact frame rate, the sound starting with the first frame; a few stills as PNG; one
clip after another or several at a time, and a killed run keeps the finished ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pipeline.stage import Given, Items, Job, Needs, Slot, Stage, Upstream, param
from stages.kinds.predictions import MOTION, TEXT, Predictions
from stages.render.clips import clip_items, picture_problems
from stages.render.settings import COLUMNS, PRESETS


@dataclass(frozen=True)
class Params:
    size: int = param(512, low=64, high=4096, help="pixels a side of one panel, even")
    columns: list[str] = param(
        list(COLUMNS), choices=COLUMNS, help="panels from left to right; without ground truth only the prediction"
    )
    camera: str = param(
        "fit",
        choices=("fit", "voca", "biwi"),
        help="fit: frames the subject's head, any units; voca, biwi: as the published renderers of these data sets do",
    )
    renderer: str = param("soft", choices=("soft", "pyrender"), help="soft: our own; pyrender: needs facepipe[gl]")
    supersample: int = param(2, low=1, high=2, help="samples a side of a pixel: 2 smooths edges, 1 is twice as fast")
    background: str = param("white", help="white, black, or a colour as #rrggbb")
    error_scale: float = param(
        0.0, low=0.0, help="mm at the end of the error colours, one scale for all videos; 0: from the data"
    )
    limit: int = param(6, low=0, selects=True, help="how many clips, spread over subjects, then sentences; 0: all")
    splits: list[str] = param([], selects=True, help="only clips of these splits of the data; empty: all")
    captions: bool = param(True, help="a line above the panels that names them, with the scale of the error")
    texts: bool = param(
        False, help="of a network that reads lips, below the panels: what was heard, and what it reads off the motion"
    )
    stills: int = param(
        2, low=0, high=100, help="pictures per clip: mouth widest open, most closed, then evenly spaced"
    )
    crf: int = param(18, low=0, high=51, help="x264's constant quality; lower is better and larger")
    preset: str = param("veryfast", choices=PRESETS, help="x264's speed")


class Render(Stage):
    """`predictions`, over the `sequences` they belong to → `video`."""

    name = "render"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = {
        "data": Slot(
            "sequences", uses=("sequences.json", "templates.npz", "topology.ply", "regions", "vertices_npy", "wav")
        ),
        "predictions": Slot("predictions"),
    }
    output = "video"
    libraries = ("numpy", "numba", "av", "pillow")

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        return upstream["predictions"].label

    def check(self) -> Iterable[str]:
        return picture_problems(self.params)

    def needs(self) -> Needs:
        return Needs(threads="any")

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        """A clip: of its prediction, what is known of it, its truth, its sound and its subject's template."""
        made, files = Predictions(given["predictions"].path), given["predictions"].files

        def own(name: str) -> list[Any]:
            text = files.get(f"{TEXT}/{name}.json") if self.params.texts else None
            return [files.get(f"{MOTION}/{name}.npy"), text]

        return clip_items(given, made, self.params, own)

    def run(self, job: Job) -> None:
        from stages.render.produce import produce

        produce(job, self.params)
