"""What the engine itself costs where something runs: `python -m benchmarks.overhead [--steps 12 60] [--items 2000]`.

A chain of trivial steps, and one step over many trivial items, are run in this process; the same work is then done
bare: the same files written and read without an engine. Figures are processor time, user and system, of this process
and its children, medians, and ratios within one run. The goal is at most 5 ms per executed step. Why a
step runs is looked for among the earlier artifacts of its stage, so that a store with more of them costs more.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.noop_chain import chain
from pipeline.execute import Means, run
from pipeline.progress import Reporter
from pipeline.recipe import load
from pipeline.stage import Job, Stage, param
from pipeline.workspace import Workspace

GOAL_MS = 5.0


@dataclass(frozen=True)
class _ManyParams:
    items: int = param(2000, help="how many")
    threads: int = param(1, help="at once", exec=True)


class Many(Stage):
    """Many items of a few bytes."""

    name = "many"
    Params = _ManyParams
    output = "many"

    def run(self, job: Job) -> None:
        def make(item: str) -> list[Path]:
            return [written(job.out, item)]

        job.each(names(self.params.items), make, unit="items", threads=self.params.threads)


def names(count: int) -> list[str]:
    return [f"{number:06d}" for number in range(count)]


def written(folder: Path, item: str) -> Path:
    path = folder / f"{item}.txt"
    path.write_text(item)
    return path


def processor_ms(call: Callable[[], None]) -> float:
    """User and system time of a call, with what it started."""
    before = _processor_seconds()
    call()
    return 1000 * (_processor_seconds() - before)


def _processor_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def bare_chain(folder: Path, steps: int) -> None:
    """What the steps of the chain do, alone."""
    text = "1"
    for number in range(steps):
        path = folder / f"s{number}"
        path.mkdir()
        (path / "count.txt").write_text(f"{text} {number}")
        text = (path / "count.txt").read_text()


def bare_items(folder: Path, items: int) -> None:
    for item in names(items):
        written(folder, item)


def engine(folder: Path, recipe: str) -> Callable[[], None]:
    """A run of a recipe in a store of its own."""
    path = folder / "recipe.toml"
    path.write_text(recipe)
    workspace = Workspace.find(str(folder / "store"), str(folder / "outputs"))
    loaded = load(path)

    def work() -> None:
        run(loaded, workspace, Reporter(quiet=True), means=Means("cpu", 1))

    return work


Made = Callable[[Path], Callable[[], None]]


def measured(makers: dict[str, Made], rounds: int) -> dict[str, float]:
    """Name → the median of some rounds, in turn, each in a folder of its own."""
    found: dict[str, list[float]] = {name: [] for name in makers}
    for _ in range(rounds):
        for name, make in makers.items():
            with tempfile.TemporaryDirectory() as folder:
                found[name].append(processor_ms(make(Path(folder))))
    return {name: statistics.median(times) for name, times in found.items()}


def many(items: int, threads: int) -> str:
    return f'[step.many]\nstage = "benchmarks.overhead:Many"\nitems = {items}\nthreads = {threads}\n'


def makers(lengths: list[int], items: int) -> dict[str, Made]:
    """All that is measured."""
    found: dict[str, Made] = {}
    for steps in lengths:
        found[f"steps {steps}"] = partial(engine, recipe=chain(steps))
        found[f"bare {steps}"] = lambda folder, steps=steps: partial(bare_chain, folder, steps)
    found["bare"] = lambda folder: partial(bare_items, folder, items)
    return found | {f"items {threads}": partial(engine, recipe=many(items, threads)) for threads in (1, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[12, 60], help="lengths of chains")
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as state:
        os.environ["PIPE_STATE"] = state
        measured(makers([2], 2), 1)  # what is asked of git and imported once
        found = measured(makers(options.steps, options.items), options.rounds)
    print(f"processor time, medians of {options.rounds} runs; goal for a step: {GOAL_MS:g} ms")
    for steps in options.steps:
        ours, bare = found[f"steps {steps}"], found[f"bare {steps}"]
        print(f"per step of {steps:<8}{(ours - bare) / steps:7.2f} ms of our own, {bare / steps:.3f} ms of bare work")
    plain = found["bare"]
    for threads in (1, 2):
        total, title = found[f"items {threads}"], f"per item, threads {threads}"
        each, work = 1000 * (total - plain) / options.items, 1000 * plain / options.items
        print(f"{title:<20}{each:7.0f} µs of our own, {work:.0f} µs of bare work, {total / plain:.1f} times it in all")


if __name__ == "__main__":
    main()
