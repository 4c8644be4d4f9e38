"""The stage `head`: published weights of NPHM or MonoNPHM, with the user's folder of assets → `head`.

What follows then reads one kind, whether the head model was trained by its authors or fitted by the stage `headfit`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.stage import Job, Sources, Stage, Upstream, param


@dataclass(frozen=True)
class Params:
    weights: str = param(path=True, help="MonoNPHM's file, or NPHM's of identity, checkpoint_epoch_<n>.tar")
    assets: str = param(path=True, help="folder with anchors_<K>.npy, as the authors' code has it")
    expression: str | None = param(None, path=True, help="NPHM's file of expression, checkpoint_epoch_<n>.tar")


class PublishedHead(Stage):
    """Files from elsewhere → `head`."""

    name = "head"
    Params = Params
    output = "head"
    libraries = ("numpy", "torch")

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        return "nphm" if self.params.expression else "mononphm"

    def sources(self) -> Sources:
        assets = Path(self.params.assets)
        files = {"weights": Path(self.params.weights)}
        # Whatever else the authors' folder holds, a whole checkout perhaps, is not read.
        files |= {f"assets/{file.name}": file for file in sorted(assets.glob("anchors_*.npy"))}
        if not assets.is_dir():
            files["assets"] = assets
        if self.params.expression:
            files["expression"] = Path(self.params.expression)
        return Sources(files=files)

    def run(self, job: Job) -> None:
        from stages.head.take import take

        take(job, self.params)
