"""The GPUs that a run may use, and who has which of them among the runs of one machine.

A lease on a GPU is a lock of the kernel on a small file below the machine's temporary folder, named by the device's
own id: it ends with the last process that holds it, however that ends, and two names for one device do not arise. Where
the file cannot be made there is no lease and the device is used all the same: better shared than not at all.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.errors import RecipeError
from pipeline.launched import launched


@dataclass(frozen=True)
class Gpu:
    """index: as torch counts. name: its own, the same for every process. word: for CUDA_VISIBLE_DEVICES."""

    index: int
    name: str
    word: str


@dataclass(frozen=True)
class Gpus:
    """GPUs held together; `release` gives them back. locks: open files, to be handed to the process that uses them."""

    held: tuple[Gpu, ...] = ()
    locks: tuple[int, ...] = ()

    @property
    def count(self) -> int:
        return len(self.held)

    @property
    def first(self) -> bool:
        """Whether these are what a process would use that knows nothing of leases."""
        return [gpu.index for gpu in self.held] == list(range(self.count))

    def __str__(self) -> str:
        return ", ".join(f"GPU {gpu.word}" for gpu in self.held)

    def release(self) -> None:
        for lock in self.locks:
            os.close(lock)


def visible() -> tuple[Gpu, ...]:
    """The GPUs that torch can use. Without a sign of one, torch is not even imported."""
    if not _sign_of_one():
        return ()
    import torch

    if not torch.cuda.is_available():
        return (Gpu(0, "mps", "mps"),) if torch.backends.mps.is_available() else ()
    words = [word.strip() for word in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if word.strip()]
    return tuple(
        Gpu(index, _own_name(index), words[index] if index < len(words) else str(index))
        for index in range(torch.cuda.device_count())
    )


def own_device(asked: str) -> str:
    """What "auto" and "cuda" mean where a launcher has started a process for each GPU of this machine."""
    place = launched()
    if place is None or asked not in ("auto", "cuda"):
        return asked
    found = [gpu for gpu in visible() if gpu.word != "mps"]
    return f"cuda:{place.local_rank % len(found)}" if found else asked


def check_gpus(count: int, pool: Pool) -> None:
    """RecipeError where `--gpus` asks for what there is not."""
    if count and (place := launched()) is not None:
        raise RecipeError(
            f"--gpus {count}: a launcher has started {place.size} processes already; leave the option out"
        )
    if count and (there := len(pool.gpus)) < count:
        found = f"this run may use {there}" if there else "there are no GPUs that this run may use"
        raise RecipeError(f"--gpus {count}: {found}; on a CPU torchrun lets processes share a training")


def _sign_of_one() -> bool:
    devices = Path("/dev")
    signs = (devices.glob("nvidia[0-9]*"), devices.glob("kfd"), devices.glob("dxg"))
    return sys.platform == "darwin" or shutil.which("nvidia-smi") is not None or any(any(sign) for sign in signs)


def _own_name(index: int) -> str:
    """The device's unique id: indices depend on CUDA_VISIBLE_DEVICES and on the job's container."""
    import torch

    return str(getattr(torch.cuda.get_device_properties(index), "uuid", index))


class Pool:
    """The GPUs of one run, lent to its steps. share: steps, and other runs, may use one at the same time."""

    def __init__(
        self,
        device: str,
        *,
        share: bool = False,
        find: Callable[[], Sequence[Gpu]] = visible,
        folder: Path | None = None,
    ) -> None:
        """device: as `--device` says it. find: looks for GPUs, once one is needed."""
        self.holders = ""
        """The other runs that have what `lend` could not give."""
        self._device, self._find = device, find
        self._share = share
        self._given = folder
        self._turn = 0

    @cached_property
    def _folder(self) -> Path:
        return self._given or Path(tempfile.gettempdir()) / "facepipe-gpus"

    @cached_property
    def gpus(self) -> Sequence[Gpu]:
        """Those of the device that was asked for."""
        kind, _, index = self._device.partition(":")
        if kind == "cpu":
            return ()
        return [gpu for gpu in self._find() if not index or gpu.index == int(index)]

    def lend(self, count: int) -> Gpus | None:
        """That many GPUs, or None while they are taken."""
        if self._share:
            self._turn += count
            return Gpus(tuple(self.gpus[(self._turn + place) % len(self.gpus)] for place in range(count)))
        held: list[Gpu] = []
        locks: list[int] = []
        taken = []
        for gpu in self.gpus:
            lock = self._lock(gpu)
            if isinstance(lock, str):
                taken += [f"GPU {gpu.word} is used by {lock}"] if lock else []
            else:
                held.append(gpu)
                locks += [lock] if lock is not None else []
            if len(held) == count:
                return Gpus(tuple(held), tuple(locks))
        Gpus(locks=tuple(locks)).release()
        self.holders = "; ".join(taken)
        return None

    def _lock(self, gpu: Gpu) -> int | str | None:
        """An open, locked file; None where there can be none; who has it, "" for this very run."""
        try:
            lock = _opened(self._folder / "".join(c if c.isalnum() or c in "-." else "-" for c in gpu.name))
        except OSError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(lock)
            os.close(lock)
            return holder
        except OSError:
            os.close(lock)
            return None
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps({"pid": os.getpid()}).encode(), 0)
        return lock


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        if not path.parent.is_dir():
            path.parent.mkdir(exist_ok=True)
            path.parent.chmod(0o1777)  # users of one machine share its GPUs
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        os.fchmod(lock, 0o666)
        return lock


def _holder(lock: int) -> str:
    try:
        pid = int(json.loads(os.pread(lock, 1000, 0))["pid"])
        return f"process {pid}" if pid != os.getpid() else ""
    except (ValueError, KeyError, TypeError):
        return "another process"
