"""Toy stages for the engine's tests: a file of numbers is read, doubled item by item, summed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import Interrupted
from pipeline.stage import Given, Items, Job, Slot, Sources, Stage, param


@dataclass(frozen=True)
class ReadParams:
    file: str = param(help="text file, one number a line", path=True)
    offset: int = param(0, help="added to each", low=0, high=100)


class Read(Stage):
    """Numbers from a text file."""

    name = "read"
    Params = ReadParams
    output = "numbers"

    def sources(self) -> Sources:
        return Sources(files={"numbers": Path(self.params.file)})

    def run(self, job: Job) -> None:
        lines = Path(self.params.file).read_text().split()
        (job.out / "notes.txt").write_text(f"offset {self.params.offset}")
        (job.out / "numbers").mkdir()
        for number, line in enumerate(lines):
            (job.out / "numbers" / f"n{number}.txt").write_text(str(int(line) + self.params.offset))


@dataclass(frozen=True)
class DoubleParams:
    factor: float = param(2.0, help="what each is multiplied with")
    mode: str = param("plain", help="how", choices=("plain", "fancy"))
    only: list[str] = param([], help="these numbers alone", selects=True)
    late: int = param(0, help="a fact that no plan knows", exec=True)
    stop_at: str = param("", help="item at which to behave badly", exec=True)
    how: str = param("interrupt", help="how to behave badly", exec=True)
    root: str = param("", help="a folder that does not count", path=True)


class Double(Stage):
    """Each number times a factor."""

    name = "double"
    Params = DoubleParams
    inputs = {"data": Slot("numbers", uses=("numbers",))}  # noqa: RUF012
    output = "doubled"
    made: list[str] = []  # noqa: RUF012

    def check(self) -> Iterable[str]:
        if self.params.mode == "fancy" and self.params.root == "plain":
            yield "mode 'fancy' takes no root 'plain'"

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        found = {name[8:-4]: hash_ for name, hash_ in given["data"].files.items() if name.startswith("numbers/")}
        return Items({name: found[name] for name in self.params.only or found})

    def run(self, job: Job) -> None:
        source = job.inputs["data"].path / "numbers"

        def make(item: str) -> Iterable[Path]:
            if item == self.params.stop_at:
                misbehave(self.params.how)
            Double.made.append(item)
            target = job.out / f"{item}.txt"
            target.write_text(str(float((source / target.name).read_text()) * self.params.factor))
            return [target]

        names = self.params.only or sorted(path.stem for path in source.iterdir())
        job.each(names, make, unit="numbers", late=self.params.late or None)


def misbehave(how: str) -> None:
    if how == "interrupt":
        raise Interrupted("asked to stop")
    if how == "ctrl-c":
        raise KeyboardInterrupt
    if how == "defect":
        raise TypeError("a bug")
    if how == "full":
        raise OSError(28, "No space left on device")
    if how == "full numpy":
        raise OSError("587691 requested and 363488 written")
    if how == "full library":
        raise RuntimeError("I/O error: No space left on device (os error 28)")
    if how == "signal":
        os.kill(os.getpid(), signal.SIGINT)
        return
    raise ValueError(how)


@dataclass(frozen=True)
class SumParams:
    weight: float = param(1.0, help="of each")


class Sum(Stage):
    """The sum of all numbers, and the seed."""

    name = "sum"
    Params = SumParams
    inputs = {"left": Slot("doubled"), "right": Slot("numbers", optional=True)}  # noqa: RUF012
    output = "total"
    seeded = True

    def run(self, job: Job) -> None:
        total = sum(float(path.read_text()) for path in job.inputs["left"].path.glob("n*.txt"))
        value = {"total": total * self.params.weight, "seed": job.seed}
        (job.out / "total.json").write_text(json.dumps(value))


@dataclass(frozen=True)
class EchoParams:
    pass


class Echo(Stage):
    """Its input again."""

    name = "echo"
    Params = EchoParams
    inputs = {"data": Slot("echo")}  # noqa: RUF012
    output = "echo"


class Count(Stage):
    """How many letters a number's file has."""

    name = "count"
    Params = EchoParams
    inputs = {"data": Slot("numbers")}  # noqa: RUF012
    output = "count"

    def run(self, job: Job) -> None:
        letters = sum(path.stat().st_size for path in job.inputs["data"].path.glob("*.txt"))
        (job.out / "count.txt").write_text(str(letters))
