"""Six trivial stages over a folder of many files, for `benchmarks.noop`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.stage import Job, Slot, Sources, Stage, param


@dataclass(frozen=True)
class _RootParams:
    root: str = param(help="folder of input files", path=True)


class Scan(Stage):
    """The number of files in a folder."""

    name = "scan"
    Params = _RootParams
    output = "count"

    def sources(self) -> Sources:
        return Sources(files={"root": Path(self.params.root)})

    def run(self, job: Job) -> None:
        (job.out / "count.txt").write_text(str(sum(1 for _ in Path(self.params.root).iterdir())))


@dataclass(frozen=True)
class _NextParams:
    number: int = param(0, help="place in the chain")


class Next(Stage):
    """The count again, and its own number."""

    name = "next"
    Params = _NextParams
    inputs: Mapping[str, Slot] = {"before": Slot("count")}
    output = "count"

    def run(self, job: Job) -> None:
        text = (job.inputs["before"].path / "count.txt").read_text()
        (job.out / "count.txt").write_text(f"{text} {self.params.number}")


def recipe(root: Path) -> str:
    """A chain of six steps over `root`, as TOML."""
    steps = [f'[step.s0]\nstage = "benchmarks.noop_chain:Scan"\nroot = "{root}"\n']
    for number in range(1, 6):
        wire = f'inputs = {{ before = "s{number - 1}" }}'
        steps.append(f'[step.s{number}]\nstage = "benchmarks.noop_chain:Next"\nnumber = {number}\n{wire}\n')
    return "\n".join(steps)


class First(Stage):
    """A count from nothing."""

    name = "first"
    Params = _NextParams
    output = "count"

    def run(self, job: Job) -> None:
        (job.out / "count.txt").write_text("1")


def chain(length: int) -> str:
    """A chain of steps over no files at all, as TOML."""
    steps = ['[step.s0]\nstage = "benchmarks.noop_chain:First"\n']
    for number in range(1, length):
        wire = f'inputs = {{ before = "s{number - 1}" }}'
        steps.append(f'[step.s{number}]\nstage = "benchmarks.noop_chain:Next"\nnumber = {number}\n{wire}\n')
    return "\n".join(steps)
