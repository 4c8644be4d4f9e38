"""Everything a training run needs to go on as if it had never stopped: parameters, optimiser, random streams, place.

One file, written beside and renamed, so that a run killed at any moment finds the state before or after, never half.
The best weights lie in a file of their own, written only when they change; the state names the one that belongs to it.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import numpy as np
import torch

from faces.errors import DataError
from pipeline.stage import replacing
from stages.kinds.checkpoint import write_weights

FILE = "training.pt"


@dataclass
class Progress:
    """Where a run stands.

    epoch: the one under way, from 0. position: optimiser steps done in it. step: of all epochs. sums: of each training
    loss over the epoch's clips so far; clips: how many. history: finished epochs. best_*: the validation so far.
    stale: validations since. seconds: spent in steps, all attempts together.
    """

    epoch: int = 0
    position: int = 0
    step: int = 0
    clips: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = -1
    best_loss: float = float("inf")
    best_file: str = ""
    stale: int = 0
    seconds: float = 0.0


class StateFile:
    """Saves and restores a run in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, network: torch.nn.Module, optimiser: torch.optim.Optimizer, progress: Progress) -> None:
        state = {
            "network": network.state_dict(),
            "optimiser": optimiser.state_dict(),
            "random": random_state(),
            "progress": asdict(progress),
        }
        with replacing(self.folder / FILE) as partial:
            torch.save(state, partial)
        for file in self.folder.glob("best-*.safetensors"):
            if file.name != progress.best_file:
                file.unlink()

    def restore(self, network: torch.nn.Module, optimiser: torch.optim.Optimizer) -> Progress | None:
        """Put everything back, or return None where there is nothing to go on from."""
        file = self.folder / FILE
        if not file.is_file():
            return None
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, UnpicklingError) as error:
            raise DataError(
                f"{file}, where training was to go on from, is damaged: delete it to start again"
            ) from error
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        set_random_state(state["random"])
        return Progress(**state["progress"])

    def save_best(self, network: torch.nn.Module, epoch: int) -> str:
        """The former best stays until the next `save`: an interruption in between goes back to it."""
        name = f"best-{epoch}.safetensors"
        write_weights(self.folder / name, network.state_dict())
        return name


def seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def random_state() -> dict[str, Any]:
    """The global streams of Python, NumPy and torch, as types that torch's safe reader accepts."""
    kind, keys, position, has_gauss, gauss = cast("tuple[Any, ...]", np.random.get_state(legacy=True))
    return {
        "python": random.getstate(),
        "numpy": (str(kind), keys.tolist(), int(position), int(has_gauss), float(gauss)),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    for index, device_state in enumerate(state["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(device_state, index)
