"""What process 0 tells the others to train: an order, as text.

It names artifacts, parameters and settings, so that every process builds for itself what process 0 builds. Its folders
must be there wherever a process runs: hosts that train together share the folder of the store.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline import registry
from pipeline.errors import StageError
from pipeline.stage import Input, Job
from stages.train import Params


@dataclass(frozen=True)
class Order:
    """inputs: slot → path, kind, label and parameters. settings: of the model, as plain values. device: of process 0.
    path: where to look for modules."""

    inputs: Mapping[str, Mapping[str, Any]]
    params: Mapping[str, Any]
    settings: Mapping[str, Any]
    state: str
    seed: int
    device: str
    threads: int
    path: list[str]

    @classmethod
    def of(cls, job: Job, params: Params, settings: Any) -> Order:
        inputs = {
            slot: {"path": str(one.path.absolute()), "kind": one.kind, "label": one.label, "params": dict(one.params)}
            for slot, one in job.inputs.items()
        }
        state = str(job.state.absolute())
        plain = asdict(settings)
        return cls(inputs, asdict(params), plain, state, job.seed, job.device, job.workers, list(sys.path))

    @property
    def text(self) -> str:
        return json.dumps(asdict(self), default=str)

    @classmethod
    def read(cls, text: str) -> Order:
        return cls(**json.loads(text))

    def check(self) -> None:
        """StageError where this machine does not see what is to be read."""
        for folder in (self.state, *(one["path"] for one in self.inputs.values())):
            if not Path(folder).is_dir():
                raise StageError(f"{folder} is not there: all hosts must see the same folder of the store")

    def job_inputs(self) -> dict[str, Input]:
        return {
            slot: Input(Path(one["path"]), one["kind"], one["label"], one["params"])
            for slot, one in self.inputs.items()
        }

    def job_params(self) -> Params:
        return Params(**self.params)

    def model_settings(self) -> Any:
        for folder in self.path:
            registry.search(folder)
        return registry.load_component("models", self.params["model"]).Settings(**self.settings)


def host() -> str:
    return socket.gethostname()
