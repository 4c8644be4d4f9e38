"""The stage `headfit`: a small neural parametric head model, fitted to the training meshes of a data set.

FaceTalk's motion is rows of expression codes of such a model, and the published ones are trained on scans that few may
have. This one, in MonoNPHM's form and NPHM's space, is made of any data set whose meshes share a topology, in minutes
on two processor cores, so that the whole way from raw data to video can be walked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from models.nphm.sizes import APPENDED, CanonicalSizes, DeformationSizes
from pipeline.stage import Given, Job, Needs, Slot, Stage, Upstream, param
from stages.kinds.sequences import INDEX, REGIONS, TEMPLATES, TOPOLOGY, VERTICES, Sequences, of_data


@dataclass(frozen=True)
class Params:
    frames: int = param(30, low=1, help="frames of each training subject that are fitted to, spread over its motion")
    blends: int = param(
        16,
        low=0,
        help="heads beside the subjects', blended of their templates and stretched, in three of the frames each",
    )
    points: int = param(3000, low=64, help="points about each fitted frame, of which every step draws some")
    spread: float = param(
        0.025, low=1e-3, high=0.2, help="how far off the skin they lie, Laplace, in NPHM's units of 25 cm"
    )
    steps: int = param(4000, low=1, help="steps of Adam")
    lr: float = param(
        2e-3,
        low=0.0,
        help="learning rate at its highest, of the weights; codes of identity have twice as much, of expression half",
    )
    heads: int = param(8, low=1, help="frames in a step")
    drawn: int = param(320, low=16, help="points of each frame in a step")
    anchors: int = param(14, low=1, help="anchors of the identity network; MonoNPHM has 65")
    pairs: int = param(5, low=0, help="mirrored pairs among them; MonoNPHM has 30")
    neighbours: int = param(4, low=1, help="anchors that a point hears; MonoNPHM 12")
    global_code: int = param(16, low=1, help="numbers of the global part of an identity code; MonoNPHM 64")
    local_code: int = param(8, low=1, help="numbers of its part for each anchor; MonoNPHM 32")
    width: int = param(32, low=1, help="channels of a member of the identity network; MonoNPHM 200")
    layers: int = param(3, low=2, help="hidden layers of a member; MonoNPHM 4")
    place: int = param(32, low=1, help="channels of the network that sets the anchors; MonoNPHM 64")
    bottleneck: int = param(8, low=1, help="numbers in which the deformation is told of the identity; MonoNPHM 16")
    expression: int = param(12, low=1, help="numbers of an expression code; MonoNPHM 100, FaceTalk's head 200")
    hyper: int = param(2, low=0, help="hyper coordinates, in which openings live")
    deformation_width: int = param(128, low=1, help="channels of the deformation network; MonoNPHM 400")
    deformation_layers: int = param(4, low=2, help="its hidden layers; MonoNPHM 6")
    follow: float = param(
        200.0, low=0.0, help="weight of correspondences: where a point of the posed mesh lies at rest"
    )
    save_every: int = param(500, low=1, exec=True, help="steps between states from which a stopped fit goes on")

    @property
    def identity_sizes(self) -> CanonicalSizes:
        return CanonicalSizes(
            anchors=self.anchors, pairs=self.pairs, global_code=self.global_code, local_code=self.local_code,
            hyper=self.hyper, neighbours=self.neighbours, width=self.width, layers=self.layers, place=self.place,
        )  # fmt: skip

    @property
    def deformation_sizes(self) -> DeformationSizes:
        return DeformationSizes(
            anchors=self.anchors, pairs=self.pairs, global_code=self.global_code, local_code=self.local_code,
            bottleneck=self.bottleneck, expression=self.expression, hyper=self.hyper,
            width=self.deformation_width, layers=self.deformation_layers, skip=APPENDED,
        )  # fmt: skip


class HeadFit(Stage):
    """`sequences` → `head`."""

    name = "headfit"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = {
        "data": Slot("sequences", uses=(VERTICES, TEMPLATES, INDEX, TOPOLOGY, REGIONS)),
    }
    output = "head"
    seeded = True
    libraries = ("numpy", "scipy", "torch", "scikit-image")

    def check(self) -> Iterable[str]:
        for sizes in (self.params.identity_sizes, self.params.deformation_sizes):
            yield from (f"anchors: {problem}" for problem in sizes.problems())

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        return f"{upstream['data'].label}-head"

    def reads(self, given: Mapping[str, Given]) -> Mapping[str, Mapping[str, str]]:
        """Of the data only the training sentences: one more to test on fits nothing anew."""
        data, entry = Sequences(given["data"].path), given["data"]
        shared = {part: entry.content[part] for part in (TOPOLOGY, REGIONS) if part in entry.content}
        return {"data": of_data(data, data.ids("train"), entry) | shared}

    def needs(self) -> Needs:
        return Needs(gpu=1, threads="all")

    def run(self, job: Job) -> None:
        from stages.headfit.fit import fit

        fit(job, self.params)
