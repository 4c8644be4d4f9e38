"""How fast predictions are measured, beside merely reading them: `python -m benchmarks.metrics`.

Truth and prediction of BIWI's size (23,370 vertices, float32) are written to a folder, then read in turns: by plain
`np.load` with a sum over it, one file after the other; the same with as many threads as measuring has; and the
measuring code with everything a report needs (all definitions, both baselines, the maps of the figures). The best turn
of each counts. `--cold` drops the files from the page cache before each turn, so that the disk takes part. Peak memory
is that of a process of its own, above what its imports need.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import numpy as np

from faces.ply import write_ply
from pipeline.stage import Job
from stages.kinds.predictions import Info as Made
from stages.kinds.predictions import Item, Predictions, prediction_name
from stages.kinds.predictions import write_index as write_predictions
from stages.kinds.sequences import TOPOLOGY, VERTICES, Entry, Info, Sequences, write_index, write_region
from stages.metrics import Params
from stages.metrics.choose import choose
from stages.metrics.evaluate import measure_all
from stages.metrics.measure import Measurer
from stages.metrics.regions import find_regions

COUNT = 23370
LIPS, UPPER = np.arange(2, 23340, 4)[:4996], np.arange(7, 23369, 3)[:7784]


def write_data(folder: Path, sequences: int, frames: int) -> tuple[Path, Path]:
    """Sequences and predictions of random walks around one face."""
    rng = np.random.default_rng(0)
    data, made = folder / "data", folder / "predictions"
    for place in (data / VERTICES, made / "npy"):
        place.mkdir(parents=True)
    face = rng.normal(scale=0.1, size=(COUNT, 3)).astype(np.float32)
    entries, items = {}, {}
    for number in range(sequences):
        name = f"F1_e{number:04d}"
        walk = face.ravel() + 1e-3 * rng.standard_normal((frames, 3 * COUNT), np.float32)
        np.save(data / VERTICES / f"{name}.npy", walk)
        walk += np.float32(1e-3)
        np.save(made / "npy" / f"{prediction_name(name, 'F1')}.npy", walk)
        entries[name] = Entry("F1", f"e{number:04d}", "test", frames, 0, 0)
        items[prediction_name(name, "F1")] = Item(name, "F1", "F1", "test", frames)
    np.savez(data / "templates.npz", allow_pickle=False, F1=face)
    write_ply(data / TOPOLOGY, face, np.array([[0, 1, 2]]))
    for region, indices in {"lips": LIPS, "upper_face": UPPER, "lip_upper": LIPS[:9], "lip_lower": LIPS[9:18]}.items():
        write_region(data, region, indices.tolist())
    write_index(data, Info("biwi", 25.0, "unit-area", "y", COUNT, {"train": ["F1"]}, entries))
    write_predictions(made, Made(25.0, "unit-area", "biwi", "walk", items))
    return data, made


class Threads:
    """As much of a `Job` as measuring asks for."""

    def __init__(self, out: Path, workers: int) -> None:
        self.out, self.workers = out, workers

    def taken_over(self, ids: Iterable[str]) -> set[str]:
        return set()

    def each(self, ids: Sequence[str], make: Callable[[str], Iterable[Path]], *, threads: int) -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(make, ids))


def measure(data: Path, made: Path, threads: int) -> None:
    """All numbers and maps of all sequences, as the stage makes them."""
    truth = Sequences(data)
    cases = choose(truth, Predictions(made), None, [])
    measurer = Measurer(truth, find_regions(truth, Params()).parts(truth), np.zeros((COUNT, 3)), diverse=True)
    with tempfile.TemporaryDirectory(dir=data.parent) as out:
        measure_all(cast("Job", Threads(Path(out), threads)), measurer, cases)


def read(data: Path, made: Path, threads: int) -> None:
    """What nobody who looks at every number can do without."""
    files = [*sorted((data / VERTICES).iterdir()), *sorted((made / "npy").iterdir())]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda file: np.load(file).sum(), files))


def forget(folder: Path) -> None:
    """Drop the files' pages from the page cache."""
    for file in folder.rglob("*.npy"):
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def best_seconds(work: dict[str, Callable[[], None]], turns: int, before: Callable[[], None]) -> dict[str, float]:
    best = dict.fromkeys(work, float("inf"))
    for _ in range(turns):
        for name, run in work.items():
            before()
            start = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def peak_mb(data: Path, made: Path, threads: int) -> tuple[float, float]:
    """Peak resident memory in MB of measuring in a process of its own: after its imports, and at the end."""
    words = [sys.executable, "-m", "benchmarks.metrics", "--only", str(data), str(made), str(threads)]
    root = Path(__file__).parents[1]
    out = subprocess.run(words, capture_output=True, text=True, check=True, cwd=root).stdout
    before, after = json.loads(out)
    return before, after


def only(data: Path, made: Path, threads: int) -> None:
    peaks = [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]
    measure(data, made, threads)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps(peaks))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sequences", type=int, default=20, help="1000 of 100 frames are 56 GB")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--cold", action="store_true", help="from disk, not from the page cache")
    parser.add_argument("--folder", type=Path, help="where to write the data (default: the temporary folder)")
    parser.add_argument("--only", nargs=3, metavar=("DATA", "PREDICTIONS", "THREADS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        only(Path(options.only[0]), Path(options.only[1]), int(options.only[2]))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        data, made = write_data(Path(name), options.sequences, options.frames)
        peaks = peak_mb(data, made, options.threads)  # first: it compiles
        many = options.threads
        work = {
            "read, 1 thread": lambda: read(data, made, 1),
            f"read, {many} threads": lambda: read(data, made, many),
            "measure, 1 thread": lambda: measure(data, made, 1),
            f"measure, {many} threads": lambda: measure(data, made, many),
        }
        work["measure, 1 thread"]()
        best = best_seconds(work, options.turns, lambda: forget(Path(name)) if options.cold else None)
    megabytes = options.sequences * options.frames * COUNT * 3 * 4 * 2 / 1e6
    where = "from disk" if options.cold else "from the page cache"
    print(
        f"{options.sequences} sequences of {options.frames} frames, truth and prediction: {megabytes:,.0f} MB, {where}"
    )
    for label, seconds in best.items():
        print(f"  {label:<20}{megabytes / seconds:8.0f} MB/s")
    ratio = best[f"read, {many} threads"] / best[f"measure, {many} threads"]
    print(f"  measuring with {many} threads goes at {ratio:.2f} of the speed of plain reading with as many")
    print(f"  peak memory {peaks[1]:.0f} MB, {peaks[1] - peaks[0]:.0f} above the imports; a sequence is "
          f"{megabytes / options.sequences:.0f} MB")  # fmt: skip


if __name__ == "__main__":
    main()
