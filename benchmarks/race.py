"""Many `pipe run` of one recipe at once: `python -m benchmarks.race [--processes 4] [--runs 100]`.

In every round some processes run one recipe, whose parameters are new in that round, on one store. Its two steps append
a line to a log each time they are executed. Every artifact must be made exactly once, and every run must succeed,
whoever came first. Says how many artifacts were made, how often a run waited for another one, and what a round took.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.stage import Job, Slot, Stage, param

ROOT = Path(__file__).resolve().parents[1]
RECIPE = """\
[recipe]
title = "race"
[step.first]
stage = "benchmarks.race:First"
[step.second]
stage = "benchmarks.race:Second"
"""


@dataclass(frozen=True)
class Params:
    number: int = param(0, help="of the round")
    log: str = param("", help="file to append a line to", exec=True)
    seconds: float = param(0.1, help="to take", exec=True)


def append(params: Params, line: str) -> None:
    """One line in one write, whoever else appends."""
    descriptor = os.open(params.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)
    time.sleep(params.seconds)


class First(Stage):
    """A number in a file."""

    name = "first"
    Params = Params
    output = "number"

    def run(self, job: Job) -> None:
        append(self.params, f"first {self.params.number}")
        (job.out / "number.txt").write_text(str(self.params.number))


class Second(Stage):
    """The number and one."""

    name = "second"
    Params = Params
    inputs = {"data": Slot("number")}  # noqa: RUF012
    output = "sum"

    def run(self, job: Job) -> None:
        append(self.params, f"second {self.params.number}")
        number = int((job.inputs["data"].path / "number.txt").read_text())
        (job.out / "sum.txt").write_text(str(number + 1))


@dataclass(frozen=True)
class Outcome:
    """Lines of the log with their counts; what the runs printed; exit codes; right results."""

    made: Counter[str]
    printed: list[str]
    codes: list[int]
    right: bool


def race(folder: Path, processes: int, rounds: int) -> Outcome:
    """Run the rounds below a folder."""
    (folder / "race.toml").write_text(RECIPE)
    log = folder / "log"
    log.touch()
    printed, codes, right = [], [], True
    for number in range(rounds):
        running = [subprocess.Popen(**call(folder, log, number)) for _ in range(processes)]
        printed += [process.communicate(timeout=300)[0] for process in running]
        codes += [process.returncode for process in running]
        right &= (folder / "outputs/race/second/sum.txt").read_text() == str(number + 1)
    return Outcome(Counter(log.read_text().splitlines()), printed, codes, right)


def call(folder: Path, log: Path, number: int) -> dict[str, object]:
    """One `pipe run` as arguments of Popen."""
    values = {"number": number, "log": log}
    settings = [f"step.{step}.{key}={value}" for step in ("first", "second") for key, value in values.items()]
    words = [word for setting in settings for word in ("--set", setting)]
    places = {f"PIPE_{name.upper()}": str(folder / name) for name in ("store", "outputs", "state")}
    return {
        "args": [sys.executable, "-m", "pipeline", "run", "race.toml", *words],
        "cwd": folder,
        "env": os.environ | places | {"PYTHONPATH": str(ROOT)},
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
    }


def faults(outcome: Outcome, rounds: int) -> list[str]:
    """What went wrong, a sentence each."""
    expected = {f"{step} {number}" for step in ("first", "second") for number in range(rounds)}
    found = [f"{line!r} was made {count} times" for line, count in outcome.made.items() if count != 1]
    found += [f"{line!r} was not made" for line in sorted(expected - set(outcome.made))]
    found += [
        f"a run ended with {code}:\n{text}" for code, text in zip(outcome.codes, outcome.printed, strict=True) if code
    ]
    return found + ([] if outcome.right else ["a result is wrong"])


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--runs", type=int, default=100)
    options = parser.parse_args(words)
    rounds, started = options.runs // options.processes, time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        outcome = race(Path(name), options.processes, rounds)
        left = sorted(path.name for path in (Path(name) / "store/work").iterdir())
    wrong = faults(outcome, rounds) + [f"left in work: {entry}" for entry in left]
    waits, pace = sum("waiting" in text for text in outcome.printed), (time.monotonic() - started) / max(rounds, 1)
    print(
        f"{len(outcome.codes)} runs by {options.processes} processes at once: {sum(outcome.made.values())} executions "
        f"for {2 * rounds} artifacts; {waits} runs waited; {pace:.2f} s a round"
    )
    print("\n".join(wrong) or "each artifact was made exactly once, every run succeeded")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
