"""The stage `lipread`: an expert reads what predicted lips say, and what the true ones do.

Its errors against the transcripts are a measure of any animation (Interspeech 2024 reports them): the stage `metrics`
takes what this one writes as `lipread`. Let a reader of video alone judge: one that hears the sound, too, reads well
whatever the lips do, unless it is made to look only (`silent`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from pipeline.errors import RecipeError
from pipeline.stage import Given, Items, Job, Needs, Slot, Stage, Upstream, param
from stages.kinds.checkpoint import BEST, CONFIG, modules_behind, reads_lips
from stages.kinds.predictions import MOTION, Predictions
from stages.kinds.sequences import INDEX, REGIONS, SOUND, TEMPLATES, TOPOLOGY, TRANSCRIPTS, VERTICES, Sequences

LIPS_FILE = f"{REGIONS}/lips.txt"
DATA = (VERTICES, SOUND, TEMPLATES, TOPOLOGY, TRANSCRIPTS, INDEX, REGIONS)


@dataclass(frozen=True)
class Params:
    beam: int = param(40, low=0, high=1000, help="texts that the search follows; 0: what CTC writes frame by frame")
    ctc_weight: float = param(0.1, low=0.0, high=1.0, help="of CTC in the search; the decoder has the rest")
    silent: bool = param(False, help="an audio-visual expert is given silence for the sound, so that lips alone count")
    truth: bool = param(True, help="the true lips are read, too: what the expert can read at best")
    splits: list[str] = param(
        [], selects=True, help="only these of the predictions' splits; empty: all that was predicted"
    )


class LipRead(Stage):
    """`checkpoint` of a lip reader, `sequences` and `predictions` → `readings`."""

    name = "lipread"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = {
        "expert": Slot("checkpoint", uses=(BEST, CONFIG)),
        "data": Slot("sequences", uses=DATA),
        "predictions": Slot("predictions"),
    }
    output = "readings"
    libraries = ("numpy", "numba", "torch")

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        return upstream["predictions"].label

    def components(self, upstream: Mapping[str, Upstream]) -> Iterable[str]:
        """The expert's model: editing it reads again. RecipeError where it reads no lips, or is asked not to hear and
        never did: found out later, all that stands before this step would have been in vain."""
        expert = upstream["expert"]
        if not reads_lips(model := str(expert.params.get("model"))):
            raise RecipeError(
                f"an expert of lipread must read lips, and step {expert.step!r} trains {model!r}: give a step that "
                "trains 'lipreader'"
            )
        if self.params.silent and expert.params.get("modality") == "video":
            raise RecipeError(f"silent = true, and the expert of step {expert.step!r} hears nothing: leave silent out")
        return modules_behind(expert)

    def needs(self) -> Needs:
        return Needs(gpu=1, threads="all")

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        """A sequence: of its motion, sound and transcript, and of all that was predicted of it. All hang on the expert,
        on the mesh, and on the faces and lips that the camera is fitted to."""
        data, files = Sequences(given["data"].path), given["data"].files
        made = given["predictions"].files
        taken = defaultdict[str, list[Any]](list)
        for name, item in Predictions(given["predictions"].path).items.items():
            if not self.params.splits or item.split in self.params.splits:
                taken[item.id].append([name, asdict(item), made.get(f"{MOTION}/{name}.npy")])

        def facts(name: str) -> list[Any]:
            own = [files.get(file) for file in (f"{VERTICES}/{name}.npy", f"{SOUND}/{name}.wav")]
            return [data.transcripts.get(name), *own, taken[name]]

        faces = [data.template_digests[subject] for subject in data.middle_subjects]
        camera = [files.get(LIPS_FILE), files.get(TOPOLOGY), faces, data.fps]
        whole = not self.params.splits
        return Items(
            {name: facts(name) for name in taken}, [given["expert"].content, data.info.up, camera], whole=whole
        )

    def run(self, job: Job) -> None:
        from stages.lipread.read import read

        read(job, self.params)
