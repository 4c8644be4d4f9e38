"""The stage `drive`: faces in the data's own topology from expression codes of a head model.

A subject's neutral template lies on the surface of its identity code; its vertices follow the codes through the model's
deformation. So what FaceTalk's way makes is measured, rendered and exported like the motion of every other network.
Without predictions the sequences' own codes are driven: what the head model and the tracking lose, which is the best
that any prediction of codes can be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pipeline.stage import Given, Items, Job, Needs, Slot, Stage, Upstream, param
from stages.kinds.expressions import SLOTS, code_items, reads_codes


@dataclass(frozen=True)
class Params:
    splits: list[str] = param(
        ["test"], selects=True, help="without predictions: whose sentences are driven by their own codes"
    )
    depth: float = param(
        2.0,
        low=0.0,
        help="millimetres below the skin where vertices follow: there flesh is told from an opening beside it",
    )
    step: float = param(0.25, low=1e-3, help="how far a code goes at once, in length; longer ways are gone in several")
    radius: float = param(
        0.40,
        low=0.0,
        help="facial smoothing: within this of the mouth all of a motion counts, in NPHM's units of 25 cm",
    )
    sigma: float = param(
        0.15, low=0.0, help="facial smoothing: of the Gaussian that begins there; 0: all counts everywhere"
    )


class Drive(Stage):
    """`predictions` of a track, or the track itself, with a `head` and `sequences` → `predictions` of vertices."""

    name = "drive"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = SLOTS
    output = "predictions"
    libraries = ("numpy", "torch")

    def check(self) -> Iterable[str]:
        if not self.params.splits:
            yield "splits is empty: name at least one of the data set's"

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        whose = upstream.get("predictions")
        return f"{whose.label}-driven" if whose else f"{upstream['data'].label}-{'-'.join(self.params.splits)}-driven"

    def needs(self) -> Needs:
        return Needs(gpu=1, threads="all")

    def reads(self, given: Mapping[str, Given]) -> Mapping[str, Mapping[str, str]]:
        return reads_codes(given)

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        """A face's motion: of its codes, its template and its identity code."""
        return Items(*code_items(given, self.params.splits))

    def run(self, job: Job) -> None:
        from stages.drive.follow import drive

        drive(job, self.params)
