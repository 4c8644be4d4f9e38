"""The stage `film`: surfaces of a head model as videos with their sound, beside the ground truth where there is one.

What `render` is to predictions in the data's topology: the same look, camera, captions, sound and stills, of meshes
whose triangles may be others in every frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.stage import Given, Items, Job, Needs, Slot, Stage, Upstream, param
from stages.kinds.sequences import INDEX, REGIONS, SOUND, TEMPLATES, TOPOLOGY, VERTICES, Sequences
from stages.kinds.surfaces import MESHES, Surfaces, by_folder
from stages.render.settings import PRESETS, background_problem

if TYPE_CHECKING:
    from stages.render.choice import Clip

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
        if self.params.size % 2:
            yield f"size must be even (H.264 halves the colour), not {self.params.size}"
        if not self.params.columns or len(set(self.params.columns)) != len(self.params.columns):
            yield "columns must name at least one panel, and each once"
        yield from background_problem(self.params.background)

    def needs(self) -> Needs:
        return Needs(threads="any")

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        """A clip: of its meshes, what is known of it, its truth, its sound and its subject's template."""
        from stages.render.choice import choose

        data, made = Sequences(given["data"].path), Surfaces(given["surfaces"].path)
        files, meshes = given["data"].files, by_folder(given["surfaces"].files)

        def facts(clip: Clip) -> list[Any]:
            name, item = clip.item.id, asdict(clip.item)
            truth, sound = files.get(f"{VERTICES}/{name}.npy"), files.get(f"{SOUND}/{name}.wav")
            return [
                meshes.get(f"{MESHES}/{clip.name}"),
                truth,
                sound,
                item,
                clip.frames,
                data.template_digests.get(item["subject"]),
            ]

        clips = choose(data, made, self.params.columns, self.params.splits, self.params.limit)
        shared = [
            {top: hash_ for top, hash_ in given["data"].content.items() if top in (TOPOLOGY, REGIONS)},
            [data.fps, data.units, data.info.up, data.info.vertices, made.info.model, made.info.styles],
        ]
        return Items({clip.name: facts(clip) for clip in clips}, shared)

    def run(self, job: Job) -> None:
        from stages.film.shoot import shoot

        shoot(job, self.params)
