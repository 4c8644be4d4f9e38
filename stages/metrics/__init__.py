"""The stage `metrics`: how far predictions are from the truth, each number with its definition, unit and region.

Two baselines stand beside the model, so that a number means something: the neutral template held still, and the mean
motion of the training set, the best face that never listens. Truth and prediction are cut to the shorter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pipeline.stage import Job, Slot, Sources, Stage, Upstream, param

LIPS, UPPER_FACE = "lips", "upper_face"


@dataclass(frozen=True)
class Params:
    lips: str = param(LIPS, help="the data set's region for LVE")
    lips_file: str | None = param(None, path=True, help="text file of vertex indices that takes the place of `lips`")
    upper_face: str = param(UPPER_FACE, help="the data set's region for FDD")
    upper_face_file: str | None = param(
        None, path=True, help="text file of vertex indices that takes the place of `upper_face`"
    )
    average: str = param(
        "frames",
        choices=("frames", "sequences"),
        help="LVE, LVD, MVE: mean over all frames (CodeTalker, FaceDiffuser) or of each sequence first (UniTalker)",
    )
    splits: list[str] = param([], choices=("train", "val", "test"), help="only these; empty: all that was predicted")
    curves: int = param(4, low=0, help="sequences whose lip opening is plotted against the truth")


class Metrics(Stage):
    """`sequences` and `predictions` → `metrics`."""

    name = "metrics"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = {
        "data": Slot("sequences", uses=("vertices_npy", "templates.npz", "sequences.json", "regions")),
        "predictions": Slot("predictions"),
    }
    output = "metrics"

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        return upstream["predictions"].label

    def sources(self) -> Sources:
        given = {"lips": self.params.lips_file, "upper_face": self.params.upper_face_file}
        return Sources(files={name: Path(path) for name, path in given.items() if path})

    def run(self, job: Job) -> None:
        from stages.metrics.evaluate import evaluate

        evaluate(job, self.params)
