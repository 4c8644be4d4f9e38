"""Toy stages that only finish together, or never: whether steps run at once is seen without a clock."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pipeline.errors import Interrupted, StageError
from pipeline.stage import Job, Needs, Slot, Stage, param

PATIENCE_S = 30.0


def until(done: Any, what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not done():
        if time.monotonic() > end:
            raise StageError(f"waited in vain for {what}")
        time.sleep(0.01)


@dataclass(frozen=True)
class MeetParams:
    name: str = param(help="its own, in the result too")
    room: str = param(help="folder to meet in", path=True)
    guests: list[str] = param([], help="names to wait for", exec=True)
    how: str = param("", help="fail, kill, late, stop, print, watch, device: how to behave", exec=True)
    items: int = param(2, help="how many")
    threads: str = param("any", exec=True, help="what it needs", choices=("any", "all"))


class Meet(Stage):
    """Signs the book and waits until the guests have, too."""

    name = "meet"
    Params = MeetParams
    inputs: ClassVar[Mapping[str, Slot]] = {"before": Slot("meeting", optional=True)}
    output = "meeting"

    def needs(self) -> Needs:
        return Needs(threads=self.params.threads)

    def run(self, job: Job) -> None:
        room = Path(self.params.room)
        (room / f"{self.params.name}.{os.getpid()}").write_text(str(job.workers))
        until(lambda: all(list(room.glob(f"{guest}.*")) for guest in self.params.guests), str(self.params.guests))
        if self.params.how == "late":
            until(job.stopping, "a wish to stop")
        if self.params.how in ("fail", "late"):
            raise StageError("asked to fail")
        if self.params.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.params.how == "stop":
            until(job.stopping, "a wish to stop")
            (room / f"{self.params.name}.safe").write_text("")
            raise Interrupted("stopped when safe")
        if self.params.how == "device":
            (room / f"{self.params.name}.device").write_text(os.environ["CUDA_VISIBLE_DEVICES"])
        if self.params.how == "watch":
            for number in range(1000):
                job.watch(f"number {number}")
        if self.params.how == "print":
            print("printed by a library")

        def make(item: str) -> Iterable[Path]:
            (job.out / f"{item}.txt").write_text(f"{self.params.name} {item}")
            return [job.out / f"{item}.txt"]

        job.each([f"é{number}" for number in range(self.params.items)], make, threads=job.workers)
        job.say(f"{self.params.name} is done")


class Divided(Meet):
    """Notes how many processes may share its work."""

    name = "divided"
    divisible = True

    def needs(self) -> Needs:
        return Needs(gpu=1)

    def run(self, job: Job) -> None:
        (job.out / "processes.txt").write_text(str(job.processes))
