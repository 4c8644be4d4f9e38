"""The stage `encode`: the codes that a frozen motion prior gives every sequence.

They are the targets of a network that predicts codes, and never change while it is trained: computed once, they are
found again whatever is changed about that network. Where `features` is wired, clips are cut to two features per frame
first, as networks with `alignment = "pairs"` train on them: the codes of a part are not a part of the codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pipeline.stage import Given, Items, Job, Needs, Slot, Stage, Upstream, param
from stages.kinds.checkpoint import BEST, CONFIG, LAST, modules_behind, other_weights
from stages.kinds.sequences import VERTICES, Entry, Sequences


@dataclass(frozen=True)
class Params:
    weights: str = param("best", choices=("best", "last"), help="the prior's, by validation loss or of the last epoch")


class Encode(Stage):
    """A motion prior's `checkpoint` and `sequences` → `codes`."""

    name = "encode"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = {
        "prior": Slot("checkpoint", uses=(BEST, LAST, CONFIG)),
        "data": Slot("sequences", uses=("vertices_npy", "templates.npz", "sequences.json")),
        "features": Slot("features", optional=True),
    }
    output = "codes"
    libraries = ("numpy", "torch")

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        return upstream["prior"].label

    def uses(self, slot: str) -> tuple[str, ...]:
        """Of the two weight files, only the one that is asked."""
        return tuple(part for part in super().uses(slot) if part != other_weights(self.params.weights))

    def components(self, upstream: Mapping[str, Upstream]) -> Iterable[str]:
        """The model behind the prior: editing it encodes again."""
        return modules_behind(upstream["prior"])

    def needs(self) -> Needs:
        return Needs(gpu=1, threads="all")

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        """A sequence's codes: of its motion, its subject's template, and the speech that cuts it."""
        data = Sequences(given["data"].path)
        speech = given.get("features")

        def facts(name: str, entry: Entry) -> list[Any]:
            motion = given["data"].files.get(f"{VERTICES}/{name}.npy")
            return [motion, data.template_digests.get(entry.subject), speech.item(name) if speech else None]

        each = {name: facts(name, entry) for name, entry in data.info.sequences.items() if entry.split}
        return Items(each, shared=given["prior"].content)

    def run(self, job: Job) -> None:
        from stages.encode.ask import encode

        encode(job, self.params)
