"""The stage `reconstruct`: motion rebuilt from a prior's codes, the best that any prediction of codes can be.

Its `predictions` are measured and rendered like those of a network that listens; each sequence stands in its own
subject's manner.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pipeline.stage import Given, Items, Job, Needs, Slot, Stage, Upstream, param
from stages.kinds.checkpoint import BEST, CONFIG, LAST, modules_behind, other_weights
from stages.kinds.sequences import Sequences


@dataclass(frozen=True)
class Params:
    splits: list[str] = param(
        ["test"], selects=True, help="whose sentences are rebuilt, by the data set's names of splits"
    )
    weights: str = param("best", choices=("best", "last"), help="the prior's, as in the step that made the codes")


class Reconstruct(Stage):
    """A motion prior's `checkpoint`, `codes` and `sequences` → `predictions`."""

    name = "reconstruct"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = {
        "prior": Slot("checkpoint", uses=(BEST, LAST, CONFIG)),
        "codes": Slot("codes"),
        "data": Slot("sequences", uses=("templates.npz", "sequences.json")),
    }
    output = "predictions"
    libraries = ("numpy", "torch")

    def check(self) -> Iterable[str]:
        if not self.params.splits:
            yield "splits is empty: name at least one of the data set's"

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        return f"{upstream['prior'].label}-{'-'.join(self.params.splits)}"

    def uses(self, slot: str) -> tuple[str, ...]:
        """Of the two weight files, only the one that rebuilds."""
        return tuple(part for part in super().uses(slot) if part != other_weights(self.params.weights))

    def components(self, upstream: Mapping[str, Upstream]) -> Iterable[str]:
        """The model behind the prior: editing it rebuilds again."""
        return modules_behind(upstream["prior"])

    def needs(self) -> Needs:
        return Needs(gpu=1, threads="all")

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        """A sequence's motion: of its codes and its subject's template."""
        data, codes = Sequences(given["data"].path), given["codes"]
        each = {name: [codes.item(name), data.template_digests.get(data.entry(name).subject)]
                for name in data.ids_in(self.params.splits)}  # fmt: skip
        return Items(each, shared=given["prior"].content)

    def run(self, job: Job) -> None:
        from stages.reconstruct.rebuild import rebuild

        rebuild(job, self.params)
