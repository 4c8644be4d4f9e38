"""`python -m benchmarks.training`: an epoch of FaceFormer, trained as published and by the stage `train`.

As published (`benchmarks.training_naive`): batch one, the speech encoder's convolutions recomputed for every clip, all
tokens decoded and projected again at every frame, Adam as it comes. Ours: the training loop of the stage itself, on
cached features, several clips a step. A test shows that losses and gradients are the same. Weights are drawn, sizes
official (wav2vec 2.0 base), lengths of clips spread over 3 to 5 s.

Each run is a process of its own: one epoch that is not counted, then one that is. Parts:

* vocaset: seconds a clip and peak memory, 5,023 vertices, 30 fps;
* biwi: the same for 23,370 vertices, 25 fps, two speech features a frame;
* memory: peak against the length of a BIWI clip, one clip a step for both.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.progress import table
from stages.bench import DATA, SIZES

PARTS = (*DATA, "memory")


@dataclass(frozen=True)
class Case:
    """One process. who: "naive" or "ours". lengths: of its clips, in seconds. batch: clips a step; at_once: of these,
    how many are in the network at a time, 0 all of them. precision: "float32" or "bf16". These three are ours."""

    who: str
    data: str
    size: str
    lengths: Sequence[float]
    batch: int
    threads: int
    at_once: int = 0
    precision: str = "float32"

    @property
    def name(self) -> str:
        clips = f"{len(self.lengths)} clips" if len(self.lengths) > 1 else f"a clip of {self.lengths[0]:g} s"
        return f"{self.data}, {clips}, {self.who}" + (f", batch {self.batch}" if self.who == "ours" else "")


# -- in the process that is measured ---------------------------------------------------------------------------------


def measured(case: Case) -> dict[str, Any]:
    """Seconds (wall and processor) of an epoch after the first one, and peak memory in MB."""
    from stages.processor import peak_resident, set_up

    set_up(case.threads)
    run = {"naive": naive, "ours": ours}[case.who]
    wall, processor = run(case)
    peak = peak_resident() / 1e6
    clips = len(case.lengths)
    return asdict(case) | {
        "seconds_per_clip": wall / clips,
        "processor_seconds_per_clip": processor / clips,
        "peak_memory_mb": round(peak),
    }


def naive(case: Case) -> tuple[float, float]:
    """As published, all clips held in memory."""
    import torch

    from benchmarks.training_naive import NaiveFaceFormer, draw_sentences, optimiser_of, train_epoch
    from stages.bench.sizes import facts, settings

    torch.manual_seed(0)
    told = facts(case.data, case.size)
    network = NaiveFaceFormer(settings("faceformer", case.data, case.size), told).train()
    clips = draw_sentences(told, case.lengths)
    optimiser = optimiser_of(network)
    train_epoch(network, optimiser, clips)
    began = time.perf_counter(), time.process_time()
    train_epoch(network, optimiser, [clips[int(i)] for i in torch.randperm(len(clips))])
    return time.perf_counter() - began[0], time.process_time() - began[1]


def ours(case: Case) -> tuple[float, float]:
    """The stage's own loop over artifacts on the disk."""
    from stages.bench.sizes import build, facts
    from stages.bench.training import Subject, time_steps
    from stages.train import Params

    network, _ = build("faceformer", case.data, case.size, "cpu")
    bound = {"micro_batch": case.at_once} if case.at_once else {}
    wanted = {"batch_size": case.batch, "precision": case.precision, **bound}
    params = Params(model="faceformer", epochs=2, save_every=1e9, **wanted)
    marks = time_steps(Subject(network, facts(case.data, case.size)), case.lengths, params, "cpu").marks
    middle = (len(marks) - 1) // 2
    return marks[-1][0] - marks[middle][0], marks[-1][1] - marks[middle][1]


# -- in the process that asks ----------------------------------------------------------------------------------------


def asked(case: Case) -> dict[str, Any]:
    """Measured in a process of its own. SystemExit where that fails."""
    print(f"  {case.name} …", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "benchmarks.training", "--case", json.dumps(asdict(case))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{case.name}: the process ended with {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def spread(clips: int, size: str) -> list[float]:
    """Lengths from 3 to 5 s (small: a quarter of that), not in order."""
    part = 0.25 if size == "small" else 1.0
    return [part * (3.0 + 2.0 * ((7 * i) % clips) / max(1, clips - 1)) for i in range(clips)]


def compare(data: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Both on one set of clips, `repeats` times in turn; prints a table with the ratios of the best of each."""
    lengths = spread(options.clips, options.size)
    found = [
        asked(Case(who, data, options.size, lengths, options.batch, options.threads, options.at_once, precision))
        for _ in range(options.repeats)
        for who, precision in (("naive", "float32"), ("ours", options.precision))
    ]
    best = {who: _best(row for row in found if row["who"] == who) for who in ("naive", "ours")}
    columns = ("seconds_per_clip", "processor_seconds_per_clip", "peak_memory_mb")
    rows = [(who, *(f"{best[who][name]:.4g}" for name in columns)) for who in best]
    ratios = [best["naive"][name] / best["ours"][name] for name in columns]
    print(f"{data}: {options.clips} clips of {min(lengths):.3g} to {max(lengths):.3g} s, ours {options.batch} a step")
    heads = ("", "s a clip", "processor s a clip", "peak MB")
    print(table([*rows, ("times less", *(f"{ratio:.2f}" for ratio in ratios))], heads))
    return found


def _best(rows: Iterator[dict[str, Any]]) -> dict[str, Any]:
    return min(rows, key=lambda row: row["seconds_per_clip"])


def memory(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Peak of a process that trains on one clip of each length; prints what each further length adds."""
    found = [
        asked(Case(who, "biwi", options.size, [length], 1, options.threads))
        for length in options.lengths
        for who in ("naive", "ours")
    ]
    rows, before = [], dict[str, dict[str, Any]]()
    for row in found:
        last = before.get(row["who"])
        added = f"{row['peak_memory_mb'] - last['peak_memory_mb']:+d}" if last else ""
        rows.append(
            (row["who"], f"{row['lengths'][0]:g}", row["peak_memory_mb"], added, f"{row['seconds_per_clip']:.3g}")
        )
        before[row["who"]] = row
    print("biwi: one clip a step")
    print(table(sorted(rows, key=lambda row: (row[0], float(row[1]))), ("", "s", "peak MB", "added", "s a step")))
    return found


def main() -> None:
    """Run the benchmark."""
    options = _options().parse_args()
    if options.case:
        print(json.dumps(measured(Case(**json.loads(options.case)))))
        return
    found = []
    for part in options.parts:
        found += memory(options) if part == "memory" else compare(part, options)
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help=f"of {', '.join(PARTS)}; default all")
    parser.add_argument("--clips", type=int, default=16, help="clips of an epoch")
    parser.add_argument("--batch", type=int, default=8, help="clips a step, ours")
    parser.add_argument(
        "--at-once", type=int, default=0, help="of these in the network at a time; 0: as the stage does"
    )
    parser.add_argument(
        "--precision", choices=("float32", "bf16"), default="float32", help="ours; the other is float32"
    )
    parser.add_argument("--lengths", nargs="+", type=float, default=[2.0, 4.0, 8.0], help="seconds, part memory")
    parser.add_argument("--repeats", type=int, default=1, help="of each epoch's measurement; the best counts")
    parser.add_argument("--threads", type=int, default=2, help="for torch")
    parser.add_argument("--size", choices=SIZES, default="official", help="of the network")
    parser.add_argument("--json", metavar="FILE", help="write all figures here too")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
