"""The stage `metrics`: how far predictions are from the truth, each number with its definition, unit and region.

Two baselines stand beside the model, so that a number means something: the neutral template held still, and the mean
motion of the training set, the best face that never listens. With a second set of predictions `against`, paired tests
say whether the difference is more than chance.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from faces import metrics_definitions as definitions
from faces import region_table
from faces.visemes import TABLE
from pipeline.errors import RecipeError
from pipeline.registry import nearest
from pipeline.stage import Given, Items, Job, Needs, Slot, Sources, Stage, Upstream, param
from stages.kinds import tracks
from stages.kinds.predictions import MOTION, TEXT, Predictions
from stages.kinds.readings import TEXT as READ
from stages.kinds.readings import TRUTH as TRUE_LIPS
from stages.kinds.sequences import INDEX, REGIONS, TEMPLATES, TOPOLOGY, VERTICES, Entry, Sequences, of_data
from stages.kinds.synchrony import NEUTRAL as STILL
from stages.kinds.synchrony import PREDICTED
from stages.kinds.synchrony import TRUTH as TRUE_FACE

LIPS, UPPER_FACE = definitions.LIPS, definitions.UPPER_FACE
OF_VERTICES = (VERTICES, TEMPLATES, REGIONS, TOPOLOGY)
OF_TRACKS = (tracks.INDEX, tracks.FOLDER)
"""What is read of the data: the one for predictions of vertices, the other for those of a track."""
LIPREAD, LIPREAD_AGAINST = "lipread", "lipread_against"
LIPSYNC, LIPSYNC_AGAINST = "lipsync", "lipsync_against"
VISEMES = "visemes"


@dataclass(frozen=True)
class Params:
    definitions: list[str] = param(
        [], help="metrics by name, 'lve/codetalker', or whole families, 'lve'; empty: all that the data allow"
    )
    lips: str = param(LIPS, help="the data set's region for LVE")
    lips_file: str | None = param(None, path=True, help="file of vertex indices that takes the place of `lips`")
    upper_face: str = param(UPPER_FACE, help="the data set's region for FDD")
    upper_face_file: str | None = param(
        None, path=True, help="file of vertex indices that takes the place of `upper_face`"
    )
    lip_threshold: float = param(
        0.0,
        low=0.0,
        help="in the data's unit of length: lip readability is the share of frames whose largest lip error is below "
        "this; 0: none, for the paper (SelfTalk) gives no number",
    )
    visemes: str | None = param(
        None, path=True, help="with lipread: TOML table of the visemes that phonemes look like; unsaid: our own"
    )
    pronunciations: str | None = param(
        None, path=True, help="with lipread: how words are said, in CMUdict's form; unsaid: guessed from letters"
    )
    splits: list[str] = param(
        [], selects=True, help="only these of the predictions' splits; empty: all that was predicted"
    )
    figures: bool = param(True, selects=True, help="draw figures, each as PNG and PDF")
    curves: int = param(4, low=0, selects=True, help="sequences whose lip opening is plotted against the truth")


class Metrics(Stage):
    """`sequences` and `predictions` → `metrics`."""

    name = "metrics"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = {
        "data": Slot("sequences", uses=(*OF_VERTICES, INDEX, *OF_TRACKS)),
        "predictions": Slot("predictions"),
        "against": Slot("predictions", optional=True),
        LIPREAD: Slot("readings", optional=True),
        LIPREAD_AGAINST: Slot("readings", optional=True),
        LIPSYNC: Slot("synchrony", optional=True),
        LIPSYNC_AGAINST: Slot("synchrony", optional=True),
    }
    output = "metrics"
    libraries = ("numpy", "numba", "matplotlib")

    def check(self) -> Iterable[str]:
        if not math.isfinite(self.params.lip_threshold):
            yield f"lip_threshold = {self.params.lip_threshold}: write a length in the data's unit, or 0 for none"
        for name in self.params.definitions:
            if not definitions.find(name):
                yield (
                    f"definitions names {name!r}, which is no metric; there are the families "
                    f"{', '.join(definitions.FAMILIES)}, each with variants.{nearest(name, definitions.NAMES)}"
                )

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        return upstream["predictions"].label

    def sources(self) -> Sources:
        params = self.params
        given = {"lips": params.lips_file, "upper_face": params.upper_face_file}
        given |= {VISEMES: params.visemes or str(TABLE), "pronunciations": params.pronunciations}
        files = {name: Path(path) for name, path in given.items() if path}
        return Sources(files=files | {region_table.WHAT: region_table.FILE})

    def components(self, upstream: Mapping[str, Upstream]) -> Iterable[str]:
        """None. RecipeError for what can be told before anything is trained: errors of an expert, or scores of lips and
        sound, that nobody is wired to make, and a second model's without those of the first."""
        for slot, other in ((LIPREAD, LIPREAD_AGAINST), (LIPSYNC, LIPSYNC_AGAINST)):
            if other in upstream and not {"against", slot} <= upstream.keys():
                raise RecipeError(f"{other} is held against {slot}: wire against and {slot}, too")
        for name in self.params.definitions:
            named = definitions.find(name)
            if LIPREAD not in upstream and all(item.expert for item in named):
                raise RecipeError(f"definitions names {name!r}, of what an expert reads off lips: wire {LIPREAD}")
            if LIPSYNC not in upstream and all(item.synchrony for item in named):
                raise RecipeError(f"definitions names {name!r}, of how lips go with sound: wire {LIPSYNC}")
        return ()

    def needs(self) -> Needs:
        return Needs(threads="any")

    def reads(self, given: Mapping[str, Given]) -> Mapping[str, Mapping[str, str]]:
        """Of the data what predictions of their kind are held against: vertices, or a track."""
        needless = OF_VERTICES if Predictions(given["predictions"].path).info.track else OF_TRACKS
        kept = {top: hash_ for top, hash_ in given["data"].content.items() if top not in needless}
        return {slot: kept if slot == "data" else entry.content for slot, entry in given.items()}

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        """A sequence: of its motion, of what was predicted of it and read off that or scored, of its template; all hang
        on the mean motion of the training set and on the regions. Of a track, of its rows and of those of the training
        set."""
        data, files = Sequences(given["data"].path), given["data"].files
        track = Predictions(given["predictions"].path).info.track
        taken = defaultdict[str, list[Any]](list)
        for slot in (slot for slot in ("predictions", "against") if slot in given):
            made = given[slot].files
            for key, item in Predictions(given[slot].path).items.items():
                parts = [made.get(file) for file in (f"{MOTION}/{key}.npy", f"{TEXT}/{key}.json")]
                taken[item.id].append([slot, key, asdict(item), *parts])

        read = [(slot, given[slot].files) for slot in (LIPREAD, LIPREAD_AGAINST) if slot in given]
        scored = [(slot, given[slot].files) for slot in (LIPSYNC, LIPSYNC_AGAINST) if slot in given]

        def facts(name: str, entry: Entry) -> list[Any]:
            template = None if track else data.template_digests.get(entry.subject)
            keys = [key for _, key, *_ in taken[name]]
            texts = [
                [slot, made.get(f"{TRUE_LIPS}/{name}.json"), *(made.get(f"{READ}/{key}.json") for key in keys)]
                for slot, made in read
            ]
            for slot, made in scored:
                own = [made.get(f"{part}/{name}.json") for part in (TRUE_FACE, STILL)]
                texts.append([slot, *own, *(made.get(f"{PREDICTED}/{key}.json") for key in keys)])
            motion = files.get(f"{tracks.FOLDER}/{track}/{name}.npy" if track else f"{VERTICES}/{name}.npy")
            return [asdict(entry), motion, template, taken[name], *texts]

        each = {name: facts(name, entry) for name, entry in data.info.sequences.items() if name in taken}
        taught = data.ids("train")
        if track:
            codes = [track, data.fps, tracks.of_track(data.path, track, taught, given["data"])]
            return Items(each, codes, whole=not self.params.splits)
        learnt = of_data(data, taught, given["data"])
        lists = {name: digest for name, digest in sources.items() if name != region_table.WHAT}
        return Items(each, [learnt, given["data"].content.get(REGIONS), lists], whole=not self.params.splits)

    def run(self, job: Job) -> None:
        from stages.metrics.evaluate import evaluate

        evaluate(job, self.params)
