"""The stage `lipsync`: do lips and sound go together? The numbers LSE-D and LSE-C of a SyncNet, of rendered faces.

The network is the user's own file. It was trained on films of people; here it looks at renders, 25 a second, cut as
its authors' tool cuts faces out of films, so that its numbers compare with others made here, of the same file, and with
no paper's. Beside them stand those of the true faces, and of a face that never moves. The stage `metrics` takes what
this one writes as `lipsync`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from models.syncnet.sizes import SOURCE
from pipeline.errors import RecipeError
from pipeline.stage import Given, Items, Job, Needs, Slot, Sources, Stage, Upstream, param
from stages.kinds.predictions import MOTION, Predictions
from stages.kinds.sequences import INDEX, REGIONS, SOUND, TEMPLATES, TOPOLOGY, VERTICES, Sequences
from stages.kinds.surfaces import MESHES, Surfaces, by_folder

PREDICTIONS, SURFACES = "predictions", "surfaces"


@dataclass(frozen=True)
class Params:
    weights: str = param(path=True, help="SyncNet's file, syncnet_v2.model or another of its form; yours to bring")
    truth: bool = param(True, help="the true faces are scored, too: what these renders can be scored at best")
    splits: list[str] = param([], selects=True, help="only these splits; empty: all that was predicted")


class LipSync(Stage):
    """`sequences` and `predictions`, or `surfaces` of a head model, → `synchrony`."""

    name = "lipsync"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = {
        "data": Slot("sequences", uses=(INDEX, TEMPLATES, TOPOLOGY, REGIONS, VERTICES, SOUND)),
        PREDICTIONS: Slot("predictions", optional=True),
        SURFACES: Slot("surfaces", optional=True),
    }
    output = "synchrony"
    libraries = ("numpy", "numba", "torch")

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        made = upstream.get(PREDICTIONS) or upstream.get(SURFACES)
        return made.label if made else self.name

    def sources(self) -> Sources:
        return Sources(files={"weights": Path(self.params.weights)})

    def components(self, upstream: Mapping[str, Upstream]) -> Iterable[str]:
        """None. RecipeError for two kinds of faces or none, and for a network that is not there: found out later, all
        that stands before this step would have been in vain."""
        if (PREDICTIONS in upstream) == (SURFACES in upstream):
            both = "both are" if SURFACES in upstream else "neither is"
            raise RecipeError(f"lipsync looks at {PREDICTIONS} or at {SURFACES}, and {both} wired: wire one of them")
        if not Path(self.params.weights).is_file():
            raise RecipeError(f"{self.params.weights} is missing, lipsync's weights: {SOURCE}")
        return ()

    def needs(self) -> Needs:
        return Needs(gpu=1, threads="all")

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        """A sentence: of its motion, sound and neutral face, and of all that was made of it. All hang on the network,
        on the mesh and its regions."""
        data, files = Sequences(given["data"].path), given["data"].files
        made: Predictions | Surfaces
        if SURFACES in given:
            made = Surfaces(given[SURFACES].path)
            meshes = by_folder(given[SURFACES].files)
            kind: Any = [SURFACES, made.info.topology]
        else:
            made = Predictions(given[PREDICTIONS].path)
            meshes, kind = given[PREDICTIONS].files, PREDICTIONS
        taken = defaultdict[str, list[Any]](list)
        for name, item in made.items.items():
            if not self.params.splits or item.split in self.params.splits:
                file = f"{MESHES}/{name}" if SURFACES in given else f"{MOTION}/{name}.npy"
                taken[item.id].append([name, asdict(item), meshes.get(file), data.template_digests.get(item.subject)])

        def facts(name: str) -> list[Any]:
            own = [files.get(file) for file in (f"{VERTICES}/{name}.npy", f"{SOUND}/{name}.wav")]
            return [*own, taken[name]]

        shared = [given["data"].content.get(part) for part in (TOPOLOGY, REGIONS)]
        view = [data.info.up, data.fps, data.info.vertices]
        return Items({name: facts(name) for name in taken}, [kind, sources, shared, view], whole=not self.params.splits)

    def run(self, job: Job) -> None:
        from stages.lipsync.score import score

        score(job, self.params)
