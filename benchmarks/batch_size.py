"""`python -m benchmarks.batch_size`: what batches change in training, and which learning rate makes up for it.

The quickstart's data and network, trained for the same number of epochs clip by clip and in batches whose learning
rate is the single clip's times a power of the batch: 0, ½ or 1. For each: the loss of the validation sentences after
the last epoch, lip vertex error and lip correlation of the test sentences with the last weights, and the processor
time of training. The steps run through the cache: what a store holds already is not trained again, and its processor
time is read from a file beside it.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

from pipeline.__main__ import guarded
from pipeline.app import app

RECIPE = Path(__file__).parents[1] / "recipes" / "quickstart.toml"
LVE, CORRELATION = "lve/facediffuser", "opening_correlation/facepipe"


class Cell(NamedTuple):
    """One way to train: clips per step, and the power of that which multiplies the learning rate of single clips."""

    batch: int
    power: float
    seed: int

    def rate(self, single: float) -> float:
        return float(f"{single * self.batch**self.power:.3g}")


class Found(NamedTuple):
    """What came of it: lip vertex error in mm², correlation not a number where no mouth moved, processor seconds."""

    loss: float
    lve: float
    correlation: float
    seconds: float


def cells(batches: Sequence[int], powers: Sequence[float], seeds: Sequence[int]) -> Iterator[Cell]:
    """Each way once: a batch of one has one rate, whatever the power."""
    for batch in batches:
        for power in powers if batch > 1 else [0.0]:
            for seed in seeds:
                yield Cell(batch, power, seed)


def words(cell: Cell, options: argparse.Namespace) -> list[str]:
    """`--set` words of a cell."""
    settings = [
        f"recipe.seed={cell.seed}",
        f"step.train.batch_size={cell.batch}",
        f"step.train.lr={cell.rate(options.lr)}",
        f"step.train.epochs={options.epochs}",
        f"step.train.validate_every={options.epochs}",
        "step.infer.weights=last",
        "step.metrics.figures=false",
        *options.settings,
    ]
    return [word for setting in settings for word in ("--set", setting)]


def pipe(until: str, given: Sequence[str], store: Path) -> float:
    """Run the recipe here, silently; processor seconds that it took."""
    line = ["run", str(RECIPE), "--until", until, "--jobs", "1", "--device", "cpu"]
    places = ["--store", str(store / "store"), "--outputs", str(store / "outputs")]
    began = time.process_time()
    with redirect_stdout(io.StringIO()):
        code = guarded(lambda: int(app([*line, *places, *given], standalone_mode=False) or 0))
    if code:
        raise SystemExit(code)
    return time.process_time() - began


def measure(cell: Cell, options: argparse.Namespace) -> Found:
    """Train, speak and measure in one way."""
    given = words(cell, options)
    pipe("features", given, options.store)
    results = options.store / "outputs" / RECIPE.stem
    seconds = _remembered(results / "train", pipe("train", given, options.store))
    pipe("metrics", given, options.store)
    history = [json.loads(line) for line in (results / "train/history.jsonl").read_text().splitlines()]
    numbers = json.loads((results / "metrics/metrics.json").read_text())["numbers"]
    ours = {number["metric"]: number for number in numbers if number["row"] == "model"}
    lve, correlation = ours[LVE]["value_mm"], ours.get(CORRELATION, {"value": math.nan})["value"]
    return Found(history[-1]["val"]["loss"], lve, correlation, seconds)


def _remembered(artifact: Path, seconds: float) -> float:
    """Seconds of the run that trained the artifact; kept beside the store under its name."""
    file = artifact.parents[2] / "seconds" / artifact.resolve().name
    file.parent.mkdir(exist_ok=True)
    if not file.exists():
        file.write_text(str(seconds))
    return float(file.read_text())


def mean(found: Sequence[Found]) -> Found:
    return Found(*(sum(values) / len(found) for values in zip(*found, strict=True)))


def main() -> None:
    """Print a line per training, and at the end a table of means over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--lr", type=float, default=3e-4, help="of single clips")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--powers", type=float, nargs="+", default=[0.0, 0.5, 1.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--set", action="append", dest="settings", default=[], metavar="K=V", help="more settings")
    parser.add_argument("--store", type=Path, help="a folder to keep what was trained in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        options.store = (options.store or Path(folder)).absolute()
        found: dict[tuple[int, float], list[Found]] = {}
        for cell in cells(options.batches, options.powers, options.seeds):
            result = measure(cell, options)
            found.setdefault((cell.batch, cell.power), []).append(result)
            print(f"batch {cell.batch}, lr {cell.rate(options.lr):g}, seed {cell.seed}: {_text(result)}", flush=True)
    print("\n| batch | lr | loss | LVE, mm² | lip r | processor s |\n| --- | --- | --- | --- | --- | --- |")
    for (batch, power), results in found.items():
        print(f"| {batch} | {Cell(batch, power, 0).rate(options.lr):g} | {_text(mean(results), ' | ')} |")


def _text(found: Found, gap: str = "  ") -> str:
    return gap.join([f"{found.loss:.4g}", f"{found.lve:.4g}", f"{found.correlation:.3f}", f"{found.seconds:.0f}"])


if __name__ == "__main__":
    main()
