"""Everything a training run needs to go on as if it had never stopped: parameters, optimiser, random streams, place.

One file, written beside and renamed, so that a run killed at any moment finds the state before or after, never half.
The best weights lie in a file of their own, written only when they change; the state names the one that belongs to it.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol, cast

import numpy as np
import torch
from safetensors import SafetensorError

from pipeline.stage import replacing
from stages.kinds.checkpoint import is_ours, write_weights
from stages.train.faults import is_lost, ran_out
from stages.train.tally import Tally

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
    together. micro: the most clips that went through the network at once, where memory bounds them.
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
    micro: int = 0

    def add(self, found: Tally) -> None:
        """What a step added up to."""
        sums = self.tally()
        sums.add(found)
        self.sums, self.clips, self.codes = sums.sums, sums.clips, sums.codes

    def tally(self) -> Tally:
        """Of the epoch so far."""
        return Tally(self.sums, self.clips, self.codes)

    def end_epoch(self, record: dict[str, Any]) -> None:
        self.history.append(record)
        self.sums, self.clips, self.codes, self.position = {}, 0, [], 0
        self.epoch += 1


class Part(Protocol):
    """What has a state of its own: the network, the optimiser, …"""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state: Any, /) -> Any: ...


class StateFile:
    """Saves and restores a run in a folder. parts: whatever has a state, by name. `say` tells the user of a state that
    cannot be restored."""

    def __init__(self, folder: Path, parts: Mapping[str, Part], say: Callable[[str], None]) -> None:
        self.folder = folder
        self.parts = parts
        self.say = say

    def save(self, progress: Progress, streams: Sequence[Any]) -> None:
        """streams: the `random_state` of every process."""
        state = {
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
            "random": list(streams),
            "progress": asdict(progress),
        }
        with replacing(self.folder / FILE) as partial, partial.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        for file in self.folder.glob("best-*.safetensors"):
            if file.name != progress.best_file:
                file.unlink()

    def restore(self, rank: int = 0) -> Progress | None:
        """Put everything back, or return None where there is nothing to go on from. rank: whose random streams.

        A state that is damaged or does not fit is deleted, and leaves all parts and random streams as they were.
        """
        file = self.folder / FILE
        if not file.is_file():
            return None
        before = deepcopy(({name: part.state_dict() for name, part in self.parts.items()}, random_state()))
        try:
            return self._read(rank)
        except UNREADABLE as error:
            if not _is_damage(error):
                raise
            if rank == 0:
                file.unlink(missing_ok=True)
            for name, part in self.parts.items():
                part.load_state_dict(before[0][name])
            set_random_state(before[1])
            self.say("the saved state of the earlier attempt cannot be read; training begins anew")
            return None

    def _read(self, rank: int) -> Progress:
        state = torch.load(self.folder / FILE, map_location="cpu", weights_only=True)
        progress = Progress(**state["progress"])
        if progress.best_file:
            is_ours(self.folder / progress.best_file)  # opens it, which fails where it is absent or cut short
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
            if isinstance(part, torch.optim.Optimizer):
                _check_moments(part)
        if rank < len(state["random"]):
            set_random_state(state["random"][rank])
        return progress

    @staticmethod
    def best_name(epoch: int) -> str:
        return f"best-{epoch}.safetensors"

    def save_best(self, network: torch.nn.Module, epoch: int) -> None:
        """The former best stays until the next `save`: an interruption in between goes back to it."""
        name = self.best_name(epoch)
        write_weights(self.folder / name, network.state_dict())
        with (self.folder / name).open("rb") as stream:
            os.fsync(stream.fileno())  # on the disk before a state names it


def _is_damage(error: Exception) -> bool:
    """Whether the file is to blame, and not the disk, its permissions, the memory or the device."""
    if isinstance(error, OSError):
        return error.errno in (None, errno.EINVAL, errno.ENOENT)  # torch seeks before the start of a short file
    return not (isinstance(error, RuntimeError) and (ran_out(error) or is_lost(error)))


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
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    }


def set_random_state(state: dict[str, Any]) -> None:
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    for index, device_state in enumerate(state["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(device_state, index)
    if state["mps"] is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])
