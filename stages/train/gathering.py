"""Process 0's side: gets the others together for one training, and turns the loss of one into a sentence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from torch.distributed import PrefixStore, Store

from pipeline.errors import StageError
from pipeline.launched import launched
from pipeline.stage import Job
from stages.train import Params
from stages.train.group import Alone, Group
from stages.train.processes import Parted, Processes
from stages.train.rendezvous import Address, Pulse, connect, give, hosted, launchers_address, leading
from stages.train.sharing import Order

_PROGRAM = Path(__file__).parents[2]
"""So that the others are this very program."""
_REASON_S = 3.0
"""How long the reason for a broken connection is looked for."""
_GRACE_S = 120.0
"""After the loss of a process, until this one ends even if its main thread cannot."""


@contextmanager
def gathered(job: Job, params: Params, settings: Any) -> Iterator[Group]:
    """The group that trains, for as long as it trains; of this process alone where the job says no more.

    StageError where another process cannot take part, fails or dies.
    """
    if job.processes == 1:
        yield Alone()
        return
    if job.device.startswith("mps"):
        raise StageError("processes cannot share a training on this kind of GPU (mps); use --device cpu")
    job.note(processes=job.processes)
    order = Order.of(job, params, settings)
    if launched() is not None:
        with _training(launchers_address(), order, job.processes) as group:
            yield group
        return
    with (
        hosted() as address,
        _Started(address, job.processes) as others,
        leading(address, 0),
        _training(address, order, job.processes, others.trouble) as group,
    ):
        yield group


@contextmanager
def _training(address: Address, order: Order, size: int, trouble: Callable[[], str] = lambda: "") -> Iterator[Group]:
    """One order, from giving it to leaving the group."""
    store, group, left = connect(address), list[Processes](), threading.Event()
    number = give(store, order.text)

    def alarm(found: str) -> None:
        for one in group:
            one.abort()
        if not left.wait(_GRACE_S):
            print(f"error: {found}", file=sys.stderr, flush=True)
            os._exit(1)

    others = {f"beat/{rank}": f"process {rank} of {size}" for rank in range(1, size)}
    with Pulse(address, f"{number}/beat", others, lambda own: trouble() or _failed(own, number, size), alarm) as pulse:
        try:
            _wait_for_all(store, number, size, pulse)
            meeting = PrefixStore(f"{number}/group", connect(address))
            group.append(Processes(meeting, 0, size, order.device, lambda: pulse.found))
            yield group[0]
        except Exception as error:
            if reason := pulse.wait(_REASON_S if isinstance(error, Parted) else 0):
                raise StageError(reason) from error
            raise
        finally:
            with suppress(RuntimeError):
                store.set(f"{number}/over", "")
            for one in group:
                one.close()
            if not any(one.stuck for one in group):
                left.set()


def _wait_for_all(store: Store, number: int, size: int, pulse: Pulse) -> None:
    keys = [f"{number}/ready/{rank}" for rank in range(1, size)]
    while not store.check(keys):
        if pulse.wait(0.02):
            raise Parted(pulse.found)


def _failed(store: Store, number: int, size: int) -> str:
    """What a process has told of why it cannot go on."""
    keys = [f"{number}/failed/{rank}" for rank in range(1, size)]
    return next((store.get(key).decode() for key in keys if store.check([key])), "")


class _Started:
    """The other processes of this machine, started for one training; they end with it."""

    def __init__(self, address: Address, size: int) -> None:
        self._address, self._size = address, size
        self._processes: list[subprocess.Popen[str]] = []
        self._last: dict[int, str] = {}
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> _Started:
        for rank in range(1, self._size):
            self._processes.append(self._start(rank))
        return self

    def _start(self, rank: int) -> subprocess.Popen[str]:
        words = [self._address.host, str(self._address.port), str(rank), str(self._size)]
        path = [str(_PROGRAM), *filter(None, [os.environ.get("PYTHONPATH")])]
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "stages.train.follow", *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                process_group=0,  # Ctrl-C in a terminal reaches us alone, and we tell
                env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
            )
        except OSError as error:
            raise StageError(f"no process can be started for GPU {rank} ({error.strerror})") from error
        self._threads.append(threading.Thread(target=self._listen, args=(rank, process), daemon=True))
        self._threads[-1].start()
        return process

    def _listen(self, rank: int, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in filter(str.strip, process.stdout):
            self._last[rank] = line.strip()

    def trouble(self) -> str:
        """Which of them has ended, how, and its last line; "" while all live."""
        for rank, process in enumerate(self._processes, start=1):
            if (code := process.poll()) is not None:
                self._threads[rank - 1].join(timeout=1.0)
                return f"process {rank} of {self._size} {_end(code)}{self._words(rank)}"
        return ""

    def _words(self, rank: int) -> str:
        return f": {self._last[rank]}" if rank in self._last else ""

    def __exit__(self, *_: object) -> None:
        until = time.monotonic() + _REASON_S
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for thread in self._threads:
            thread.join(timeout=1.0)
        for process in self._processes:
            if process.stdout is not None:
                process.stdout.close()


def _end(code: int) -> str:
    guess = "; perhaps the machine ran out of memory" if code == -signal.SIGKILL else ""
    return f"was killed by signal {-code}{guess}" if code < 0 else f"ended with exit code {code}"
