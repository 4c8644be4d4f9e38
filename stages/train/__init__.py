"""The stage `train`: fits any network of the `models` table to sequences and features, or publishes given weights.

The training set is read clip by clip, never whole. An interrupted run goes on step-exactly: on a CPU, stopping and
resuming gives the bytes that running straight through gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pipeline.stage import Job, Slot, Sources, Stage, Upstream, param


@dataclass(frozen=True)
class Params:
    model: str = param(help="the network", component="models")
    epochs: int = param(100, low=0, help="passes over the training split; 0 publishes `weights` as they are")
    lr: float = param(1e-4, low=0.0, help="Adam's learning rate, constant")
    batch_size: int = param(1, low=1, help="clips per batch; 1 as published; padding changes no clip")
    accumulate: int = param(1, low=1, help="batches whose mean gradient makes one step of the optimiser")
    weights: str | None = param(None, path=True, help="weights to start from: a published .pth, or a .safetensors file")
    validate_every: int = param(1, low=1, help="epochs from one validation to the next; the last is always validated")
    patience: int = param(0, low=0, help="stop after this many validations without a better loss; 0 never stops early")
    precision: str = param("float32", choices=("float32", "bf16"), help="bf16: automatic mixed precision")
    grad_clip: float = param(0.0, low=0.0, help="largest norm of all gradients together; 0 leaves them alone")
    save_every: float = param(60.0, low=0.0, exec=True, help="seconds between saved states")


class Train(Stage):
    """`sequences` and `features` → `checkpoint`."""

    name = "train"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = {
        "data": Slot("sequences", uses=("vertices_npy", "templates.npz", "sequences.json")),
        "features": Slot("features"),
        "prior": Slot("checkpoint", optional=True),
    }
    output = "checkpoint"
    seeded = True

    def check(self) -> Iterable[str]:
        if self.params.epochs == 0 and not self.params.weights:
            yield "epochs = 0 publishes given weights: name their file in `weights`, or set epochs"
        problems = getattr(self.settings.get("model"), "problems", None)
        if problems is not None:
            yield from problems()

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        return f"{upstream['features'].label}-{self.params.model}"

    def sources(self) -> Sources:
        return Sources(files={"weights": Path(self.params.weights)}) if self.params.weights else Sources()

    def run(self, job: Job) -> None:
        from stages.train.session import train

        train(job, self.params, self.settings["model"])
