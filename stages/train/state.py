"""Everything a training run needs to go on as if it had never stopped: parameters, optimiser, random streams, place.

One file, written beside and renamed, so that a run killed at any moment finds the state before or after, never half.
The best weights lie in a file of their own, written only when they change; the state names the one that belongs to it.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import numpy as np
import torch
from safetensors import SafetensorError

from pipeline.stage import replacing
from stages.kinds.checkpoint import is_ours, write_weights

FILE = "training.pt"
UNREADABLE = (
    *(RuntimeError, EOFError, OSError, UnpicklingError, SafetensorError),
    *(AttributeError, IndexError, KeyError, TypeError, ValueError),
)
"""What a damaged file, or one of other content, makes the readers raise."""


@dataclass
class Progress:
    """Where a run stands.

    epoch: the one under way, from 0. position: optimiser steps done in it. step: of all epochs. sums: of each training
    loss over the epoch's clips so far; clips: how many; codes: how often a motion prior chose each code. history:
    finished epochs. best_*: the validation so far. stale: validations since. seconds: spent in steps, all attempts
    together.
    """

    epoch: int = 0
    position: int = 0
    step: int = 0
    clips: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    codes: list[int] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = -1
    best_loss: float = float("inf")
    best_file: str = ""
    stale: int = 0
    seconds: float = 0.0


class StateFile:
    """Saves and restores a run in a folder. `say` tells the user of a state that cannot be restored."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder = folder
        self.say = say

    def save(self, network: torch.nn.Module, optimiser: torch.optim.Optimizer, progress: Progress) -> None:
        state = {
            "network": network.state_dict(),
            "optimiser": optimiser.state_dict(),
            "random": random_state(),
            "progress": asdict(progress),
        }
        with replacing(self.folder / FILE) as partial, partial.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        for file in self.folder.glob("best-*.safetensors"):
            if file.name != progress.best_file:
                file.unlink()

    def restore(self, network: torch.nn.Module, optimiser: torch.optim.Optimizer) -> Progress | None:
        """Put everything back, or return None where there is nothing to go on from.

        A state that is damaged or does not fit is deleted, and leaves network, optimiser and random streams as they
        were.
        """
        file = self.folder / FILE
        if not file.is_file():
            return None
        before = deepcopy((network.state_dict(), optimiser.state_dict(), random_state()))
        try:
            return self._read(network, optimiser)
        except UNREADABLE as error:
            if not _is_damage(error):
                raise
            file.unlink()
            network.load_state_dict(before[0])
            optimiser.load_state_dict(before[1])
            set_random_state(before[2])
            self.say("the saved state of the earlier attempt cannot be read; training begins anew")
            return None

    def _read(self, network: torch.nn.Module, optimiser: torch.optim.Optimizer) -> Progress:
        state = torch.load(self.folder / FILE, map_location="cpu", weights_only=True)
        progress = Progress(**state["progress"])
        if progress.best_file:
            is_ours(self.folder / progress.best_file)  # opens it, which fails where it is absent or cut short
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        _check_moments(optimiser)
        set_random_state(state["random"])
        return progress

    def save_best(self, network: torch.nn.Module, epoch: int) -> str:
        """The former best stays until the next `save`: an interruption in between goes back to it."""
        name = f"best-{epoch}.safetensors"
        write_weights(self.folder / name, network.state_dict())
        with (self.folder / name).open("rb") as stream:
            os.fsync(stream.fileno())  # on the disk before a state names it
        return name


def _is_damage(error: Exception) -> bool:
    """Whether the file is to blame, and not the disk, its permissions or the memory."""
    if isinstance(error, OSError):
        return error.errno in (None, errno.EINVAL, errno.ENOENT)  # torch seeks before the start of a short file
    return not isinstance(error, torch.OutOfMemoryError)


def _check_moments(optimiser: torch.optim.Optimizer) -> None:
    """ValueError where an optimiser holds running means of another shape than the parameter, which torch lets pass."""
    for parameter, moments in optimiser.state.items():
        for name, value in moments.items():
            if isinstance(value, torch.Tensor) and value.ndim and value.shape != parameter.shape:
                raise ValueError(f"{name} is {tuple(value.shape)}, its parameter {tuple(parameter.shape)}")


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
