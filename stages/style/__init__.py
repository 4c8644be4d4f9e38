"""The stage `style`: how a new speaker speaks, fitted to clips of sound and motion; the rest of the network stays.

TalkingStyle (TVCG 2024) promises a style from "a set of audio and animation samples", and its release has none: this is
our extension, for every face that has a table of styles (`models.talking_face.Styled`). What comes out is the network
with one training subject more, so that all that follows a checkpoint follows this one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from pipeline.stage import Given, Job, Needs, Slot, Stage, Upstream, of_json, param
from stages.kinds.checkpoint import BEST, CONFIG, LAST, PRIOR, modules_behind, other_weights
from stages.kinds.features import ENCODER
from stages.kinds.sequences import INDEX, TEMPLATES, VERTICES, Sequences, of_data
from stages.style.whose import chosen


@dataclass(frozen=True)
class Params:
    model: str = param(help="the network that the checkpoint holds, by its name in recipes; the checkpoint must agree")
    sequences: list[str] = param([], help="ids of the sequences to fit to, all of one subject")
    subject: str | None = param(None, help="instead of sequences: fit to all that this subject says")
    splits: list[str] = param([], help="with subject: in these splits only; empty: in all")
    name: str | None = param(None, help="what the new style is called; unsaid: as the subject")
    weights: str = param("best", choices=("best", "last"), help="of the checkpoint: by validation loss, or the last")
    rates: list[float] = param(
        [0.05, 0.5, 5.0],
        help="learning rates of Adam, each begun anew and falling to nothing; the best fit of all is kept",
    )
    steps: int = param(80, low=1, help="steps of the optimiser at each rate, every one on all of the clips")
    at_once: int = param(8, low=1, exec=True, help="clips in the network at once; fewer need less memory")


class Style(Stage):
    """`checkpoint`, `sequences` and `features` → `checkpoint` with one subject more."""

    name = "style"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = {
        "checkpoint": Slot("checkpoint", uses=(BEST, LAST, PRIOR, CONFIG)),
        "data": Slot("sequences", uses=(VERTICES, TEMPLATES, INDEX)),
        "features": Slot("features"),
    }
    output = "checkpoint"
    seeded = True
    libraries = ("numpy", "torch", "transformers")

    def check(self) -> Iterable[str]:
        params = self.params
        if bool(params.sequences) == bool(params.subject):
            yield "sequences and subject: one of them must say what is fitted to, and not both"
        if params.splits and not params.subject:
            yield "splits belongs to subject: sequences are named one by one"
        if not params.rates or not all(0 < rate < math.inf for rate in params.rates):
            yield f"rates = {params.rates}: give one learning rate above 0, or several"

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        newcomer = self.params.name or self.params.subject or self.params.sequences[0]
        return f"{upstream['checkpoint'].label}-{newcomer}"

    def uses(self, slot: str) -> tuple[str, ...]:
        """Of the two weight files, only the one that is taken."""
        return tuple(part for part in super().uses(slot) if part != other_weights(self.params.weights))

    def reads(self, given: Mapping[str, Given]) -> Mapping[str, Mapping[str, str]]:
        """Of data and features only the clips that are fitted to."""
        data, features = Sequences(given["data"].path), given["features"]
        _, names = chosen(data, self.params)
        heard = {ENCODER: features.content.get(ENCODER, ""), "items": of_json([features.item(name) for name in names])}
        return {
            "checkpoint": given["checkpoint"].content,
            "data": of_data(data, names, given["data"]),
            "features": heard,
        }

    def components(self, upstream: Mapping[str, Upstream]) -> Iterable[str]:
        """The model, and the prior that it is built upon."""
        return modules_behind(upstream["checkpoint"])

    def needs(self) -> Needs:
        return Needs(gpu=1, threads="all")

    def run(self, job: Job) -> None:
        from stages.style.make import make

        make(job, self.params)
