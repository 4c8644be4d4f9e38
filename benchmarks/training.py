"""`python -m benchmarks.training`: an epoch of a network, trained as published and by the stage `train`.

As published (`benchmarks.training_naive`, `talkingstyle_naive`, `selftalk_naive`): batch one, the speech encoder's
convolutions recomputed for every clip, Adam as it comes; FaceFormer and TalkingStyle decode and project all tokens
again at every frame; SelfTalk's recogniser hears every clip again. Ours: the training loop of the stage itself, on
cached features, several clips a step. Tests show that losses and gradients are the same. Weights are drawn, sizes
official, lengths of clips spread over 3 to 5 s, or as `--lengths` says.

Each run is a process of its own: one epoch that is not counted, then one that is. Parts:

* vocaset: seconds a clip and peak memory, 5,023 vertices, 30 fps;
* biwi: the same for 23,370 vertices, 25 fps, two speech features a frame;
* memory: peak against the length of a BIWI clip, one clip a step for both.

SelfTalk's can be told apart by `--who naive checkpointed anew ours`: as published; the same with the activations of the
speech encoder computed twice, as the released configuration asks, for less memory; ours with the recogniser in every
step; ours.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.training_case import BASE, MODELS, OURS, WHO, Case, measured
from pipeline.progress import table
from stages.bench import DATA, SIZES

PARTS = (*DATA, "memory")
PROCESSOR = "processor_seconds_per_clip"
COLUMNS = {"seconds_per_clip": "s a clip", PROCESSOR: "processor s", "peak_memory_mb": "peak MB"}
Row = dict[str, Any]


def asked(case: Case) -> Row:
    """Measured in a process of its own. SystemExit where that fails."""
    print(f"  {case.name} …", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "benchmarks.training", "--case", json.dumps(asdict(case))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{case.name}: the process ended with {done.returncode}")
    found: Row = json.loads(done.stdout.splitlines()[-1])
    return found


def spread(clips: int, size: str) -> list[float]:
    """Lengths from 3 to 5 s (small: a quarter of that), not in order."""
    part = 0.25 if size == "small" else 1.0
    return [part * (3.0 + 2.0 * ((7 * i) % clips) / max(1, clips - 1)) for i in range(clips)]


def cases(data: str, options: argparse.Namespace) -> Iterator[Case]:
    """Who trains on one set of clips, the slowest first."""
    lengths = options.lengths or spread(options.clips, options.size)
    for who in options.who:
        for batch in options.batch if who in OURS else [1]:
            precision = options.precision if who in OURS else "float32"
            yield Case(
                options.model, who, data, options.size, lengths, batch, options.threads, options.at_once, precision,
                options.encoder,
            )  # fmt: skip


def compare(data: str, options: argparse.Namespace) -> list[Row]:
    """All on one set of clips, `repeats` times in turn; prints the best of each, and how many times less than the first
    each of them takes, by the best and, of processor time, within each round."""
    wanted = list(cases(data, options))
    rounds = [[asked(case) for case in wanted] for _ in range(options.repeats)]
    best = [min(rows, key=lambda row: row[PROCESSOR]) for rows in zip(*rounds, strict=True)]
    rows = []
    for number, (case, row) in enumerate(zip(wanted, best, strict=True)):
        cells = [cell for name in COLUMNS for cell in (f"{row[name]:.4g}", f"{best[0][name] / row[name]:.2f}")]
        ratios = [found[0][PROCESSOR] / found[number][PROCESSOR] for found in rounds]
        rows.append((case.label, *cells, f"{min(ratios):.2f}-{max(ratios):.2f}"))
    lengths = wanted[0].lengths
    print(f"{options.model}, {data}: {len(lengths)} clips of {min(lengths):.3g} to {max(lengths):.3g} s")
    heads = ("", *(head for name in COLUMNS.values() for head in (name, "times")), "rounds")
    print(table(rows, heads), flush=True)
    return [row for found in rounds for row in found]


def memory(options: argparse.Namespace) -> list[Row]:
    """Peak of a process that trains on one clip of each length; prints what each further length adds."""
    found = [
        asked(Case(options.model, who, "biwi", options.size, [length], 1, options.threads, encoder=options.encoder))
        for length in options.lengths or [2.0, 4.0, 8.0]
        for who in options.who
    ]
    rows, before = [], dict[str, Row]()
    for row in found:
        last = before.get(row["who"])
        added = f"{row['peak_memory_mb'] - last['peak_memory_mb']:+d}" if last else ""
        rows.append(
            (row["who"], f"{row['lengths'][0]:g}", row["peak_memory_mb"], added, f"{row['seconds_per_clip']:.3g}")
        )
        before[row["who"]] = row
    print(f"{options.model}, biwi: one clip a step")
    print(table(sorted(rows, key=lambda row: (row[0], float(row[1]))), ("", "s", "peak MB", "added", "s a step")))
    return found


def main() -> None:
    """Run the benchmark."""
    parser = _parser()
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measured(Case(**json.loads(options.case)))))
        return
    if options.model != "selftalk" and {"checkpointed", "anew"} & set(options.who):
        parser.error("checkpointed and anew are SelfTalk's: add --model selftalk")
    found = []
    for part in options.parts:
        found += memory(options) if part == "memory" else compare(part, options)
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", choices=MODELS, default="faceformer", help="which network")
    parser.add_argument("--who", nargs="+", choices=WHO, default=["naive", "ours"], help="who trains; the first is 1")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help=f"of {', '.join(PARTS)}; default all")
    parser.add_argument("--clips", type=int, default=16, help="clips of an epoch")
    parser.add_argument("--batch", nargs="+", type=int, default=[8], help="clips a step, ours; several: each of them")
    parser.add_argument(
        "--at-once", type=int, default=0, help="of these in the network at a time; 0: as the stage does"
    )
    parser.add_argument(
        "--precision", choices=("float32", "bf16"), default="float32", help="ours; the other is float32"
    )
    parser.add_argument("--lengths", nargs="+", type=float, help="of the clips in seconds; memory: 2, 4 and 8")
    parser.add_argument("--repeats", type=int, default=1, help="of each epoch's measurement; the best counts")
    parser.add_argument("--threads", type=int, default=2, help="for torch")
    parser.add_argument("--size", choices=SIZES, default="official", help="of the network")
    parser.add_argument(
        "--encoder", choices=("", BASE), default="", help="base: wav2vec 2.0 base listens; default: the published one"
    )
    parser.add_argument("--json", metavar="FILE", help="write all figures here too")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
