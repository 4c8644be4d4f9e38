"""The stage `geometry`: how near surfaces are to the data's true meshes, or other surfaces, whatever their triangles.

The measures of NPHM's evaluation (`faces.mesh_measures`), in the form of the stage `metrics`: per sentence, as a mean
over frames, of samples the mean and the best. Beside the model stand the neutral template held still, and
the truth itself, of which other points are drawn: the least that the numbers can be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from pipeline.errors import RecipeError
from pipeline.stage import Given, Items, Job, Needs, Slot, Stage, Upstream, param
from stages.kinds.sequences import INDEX, REGIONS, TEMPLATES, TOPOLOGY, VERTICES, Sequences
from stages.kinds.surfaces import MESHES, Surfaces, by_folder

TRUTH, ALL = "truth", "all"


@dataclass(frozen=True)
class Params:
    points: int = param(
        50_000, low=100, help="points drawn from each surface: equal ones are half the distance of neighbours apart"
    )
    every: int = param(1, low=1, help="one frame of so many is measured")
    region: str = param(
        ALL, help="the data set's region, by name, that is looked at: of a surface what lies nearest to it; or all"
    )
    splits: list[str] = param([], selects=True, help="only these splits; empty: all that surfaces were made of")


class Geometry(Stage):
    """`surfaces` and `sequences`, or other `surfaces`, → `metrics`."""

    name = "geometry"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = {
        "data": Slot("sequences", uses=(INDEX, TEMPLATES, TOPOLOGY, REGIONS, VERTICES)),
        "surfaces": Slot("surfaces"),
        TRUTH: Slot("surfaces", optional=True),
    }
    output = "metrics"
    libraries = ("numpy", "scipy")

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        return f"{upstream['surfaces'].label}-geometry"

    def components(self, upstream: Mapping[str, Upstream]) -> Iterable[str]:
        """None. RecipeError for a region of surfaces that have none."""
        if TRUTH in upstream and self.params.region != ALL:
            raise RecipeError(f"region is of the data's topology, and {TRUTH} has another: leave one of them out")
        return ()

    def needs(self) -> Needs:
        return Needs(threads="any")

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        """A sentence: of its truth, its template and all surfaces of it."""
        data, files = Sequences(given["data"].path), given["data"].files
        taken = defaultdict[str, list[Any]](list)
        for slot in (slot for slot in ("surfaces", TRUTH) if slot in given):
            meshes = by_folder(given[slot].files)
            for key, item in Surfaces(given[slot].path).items.items():
                taken[item.id].append([slot, key, asdict(item), meshes.get(f"{MESHES}/{key}")])
        each = {}
        for name, entry in data.info.sequences.items():
            if name in taken:
                true = [files.get(f"{VERTICES}/{name}.npy"), data.template_digests.get(entry.subject)]
                each[name] = [asdict(entry), [] if TRUTH in given else true, taken[name]]
        shared = [given["data"].content.get(part) for part in (TOPOLOGY, REGIONS)]
        return Items(each, [] if TRUTH in given else shared, whole=not self.params.splits)

    def run(self, job: Job) -> None:
        from stages.geometry.evaluate import evaluate

        evaluate(job, self.params)
