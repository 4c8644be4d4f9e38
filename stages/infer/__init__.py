"""The stage `infer`: a trained network speaks the sentences of some splits, in one style or several.

Which styles is the rule of the papers: a subject of the training set speaks in its own; anyone else in that of every
training subject, one prediction each. The speech encoder runs once per sentence, however many styles follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from pipeline import registry
from pipeline.stage import Job, Slot, Stage, Upstream, param
from stages.kinds.checkpoint import BEST, CONFIG, LAST

RULES = ("published", "all", "own")


@dataclass(frozen=True)
class Params:
    splits: list[str] = param(["test"], choices=("train", "val", "test"), help="whose sentences are spoken")
    conditions: str | list[str] = param(
        "published",
        help="styles: 'published' (own if the subject was trained on, else all), 'all', 'own', or training subjects",
    )
    weights: str = param("best", choices=("best", "last"), help="by validation loss, or after the last epoch")
    styles_at_once: int = param(8, low=1, exec=True, help="styles of one sentence in a batch; fewer need less memory")


class Infer(Stage):
    """`checkpoint`, `sequences` and `features` → `predictions`."""

    name = "infer"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = {
        "checkpoint": Slot("checkpoint", uses=(BEST, LAST, CONFIG)),
        "data": Slot("sequences", uses=("templates.npz", "sequences.json")),
        "features": Slot("features"),
    }
    output = "predictions"
    seeded = True

    def check(self) -> Iterable[str]:
        if isinstance(self.params.conditions, str) and self.params.conditions not in RULES:
            yield f"conditions = {self.params.conditions!r}: write {', '.join(RULES)}, or a list of training subjects"
        if not self.params.splits:
            yield "splits is empty: name at least one of train, val, test"

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        return f"{upstream['checkpoint'].label}-{'-'.join(self.params.splits)}"

    def uses(self, slot: str) -> tuple[str, ...]:
        """Of the two weight files, only the one that speaks."""
        other = LAST if self.params.weights == "best" else BEST
        return tuple(part for part in super().uses(slot) if part != other)

    def components(self, upstream: Mapping[str, Upstream]) -> Iterable[str]:
        """The model behind the checkpoint: editing it runs inference again."""
        return (registry.component_module("models", upstream["checkpoint"].params["model"]),)

    def run(self, job: Job) -> None:
        from stages.infer.speak import speak

        speak(job, self.params)
