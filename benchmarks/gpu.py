"""`python -m benchmarks.gpu`: a network at official sizes on a GPU, everything that docs/performance.md tells of one.

`--model faceformer`, `talkingstyle` or `selftalk`. Training: an epoch of 12 × 40 made-up sentences of 3 to 5 s, with
batches, in float32 and bf16; clips a second of these, of batch one, and of the loop as published
(`benchmarks.training_case.published`), on fewer sentences; how busy the GPU was. Speech: real-time factor of 10 and
60 s, alone and in a batch. What `pipe bench` measures with is used throughout.

One process, a few minutes. `--device cpu --size small --sentences 4 --few 2 --batch 2 --seconds 1` tries it anywhere.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.training import spread
from benchmarks.training_case import MODELS, published
from benchmarks.training_naive import draw_sentences, optimiser_of, train_epoch
from models.settings import wants_of
from pipeline.progress import table
from stages.bench import DATA, SIZES, Task, Wish
from stages.bench.command import found_device
from stages.bench.machine import machine
from stages.bench.memory import peaks, reset_peaks
from stages.bench.report import heading
from stages.bench.sizes import build, facts, settings
from stages.bench.speaking import Speaker
from stages.bench.training import Subject, time_steps
from stages.bench.utilisation import Utilisation
from stages.processor import set_up
from stages.train import Params

LENGTHS = 16
"""Different lengths of sentences; more of them would only fill the disk."""
Row = dict[str, Any]


def lengths(clips: int, size: str) -> list[float]:
    """Of so many sentences, in seconds."""
    known = spread(min(clips, LENGTHS), size)
    return [known[i % len(known)] for i in range(clips)]


def as_published(options: argparse.Namespace) -> Row:
    """The second epoch of the loop as published, over a few sentences."""
    told, device = facts(options.data, options.size, options.model), options.device
    network = published(options.model, settings(options.model, options.data, options.size), told).to(device)
    clips = draw_sentences(told, lengths(options.few, options.size), device)
    optimiser = optimiser_of(network)
    train_epoch(network, optimiser, clips)
    reset_peaks(device)
    with Utilisation(device) as used:
        began = time.perf_counter()
        train_epoch(network, optimiser, clips)  # its loss is read after every clip: nothing is left in the queue
        seconds = time.perf_counter() - began
    return _figures("as published", "float32", 1, options.few, seconds, device, used.mean())


def ours(options: argparse.Namespace, batch: int, precision: str, clips: int) -> Row:
    """The second epoch of the training loop."""
    network, _ = build(options.model, options.data, options.size, options.device)
    wants = wants_of(settings(options.model, options.data, options.size))
    subject = Subject(network, facts(options.data, options.size, options.model), wants=wants)
    params = Params(model=options.model, epochs=2, batch_size=batch, precision=precision, save_every=1e9)
    reset_peaks(options.device)
    with Utilisation(options.device) as used:
        marks = time_steps(subject, lengths(clips, options.size), params, options.device).marks
    middle = marks[(len(marks) - 1) // 2][0]
    return _figures("ours", precision, batch, clips, marks[-1][0] - middle, options.device, used.mean(since=middle))


def _figures(who: str, precision: str, batch: int, clips: int, seconds: float, device: str, busy: float | None) -> Row:
    rate = clips / seconds
    named = {"who": who, "precision": precision, "batch": batch, "clips": clips}
    return named | {"epoch_seconds": seconds, "clips_per_second": rate, "busy": busy, **peaks(device)}


def training(options: argparse.Namespace) -> Iterator[Row]:
    """Rows of the first table, the slowest first."""
    yield as_published(options)
    yield ours(options, 1, "float32", options.few)
    for precision in ("float32", "bf16"):
        yield ours(options, options.batch, precision, options.sentences)


def speech(options: argparse.Namespace) -> Iterator[Row]:
    """Rows of the second table."""
    for precision in ("float32", "bf16"):
        network, _ = build(options.model, options.data, options.size, options.device)
        network.eval()  # type: ignore[attr-defined]
        wish, told = _wish(options), facts(options.data, options.size, options.model)
        speaker = Speaker(network, told, Task(options.model, precision, wish))
        speaker.figures(min(wish.seconds), 1)
        for seconds in wish.seconds:
            for clips in sorted({1, options.batch}):
                yield {"precision": precision} | speaker.figures(seconds, clips)


def _wish(options: argparse.Namespace) -> Wish:
    return Wish(
        options.size, options.data, options.device, options.seconds, options.batch, 3, threads=torch.get_num_threads()
    )


def report(options: argparse.Namespace, trained: list[Row], spoken: list[Row]) -> str:
    """Both tables as text."""
    memory = "gpu_peak_memory_mb" if "gpu_peak_memory_mb" in trained[0] else "peak_memory_mb"
    slowest = trained[0]["clips_per_second"]
    training_rows = [
        (
            row["who"], row["precision"], row["batch"], row["clips"], f"{row['epoch_seconds']:.1f}",
            f"{row['clips_per_second']:.2f}", f"{row['clips_per_second'] / slowest:.1f}",
            "–" if row["busy"] is None else f"{100 * row['busy']:.0f} %", f"{row[memory]:,.0f}",
        )
        for row in trained
    ]  # fmt: skip
    speech_rows = [
        (
            row["precision"], f"{row['seconds']:g}", row["clips"], f"{row['real_time_factor']:.0f}",
            f"{row['first_frame']:.3f}", f"{row[memory]:,.0f}",
        )
        for row in spoken
    ]  # fmt: skip
    heads = ("training", "precision", "batch", "clips", "epoch s", "clips/s", "times", "GPU use", "MB")
    spoken_heads = ("speech", "seconds", "clips", "times real time", "first frame s", "MB")
    parts = (heading(machine(_wish(options))), table(training_rows, heads), table(speech_rows, spoken_heads))
    return "\n\n".join(parts)


def main() -> None:
    """Run the benchmark."""
    options = _options().parse_args()
    options.device = found_device(options.device)
    set_up(options.threads)
    trained, spoken = list(training(options)), list(speech(options))
    print(report(options, trained, spoken))
    if options.json:
        facts = machine(_wish(options)) | {"training": trained, "speech": spoken}
        Path(options.json).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", choices=MODELS, default="faceformer", help="which network")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--data", choices=DATA, default="vocaset", help="topology, frame rate and settings")
    parser.add_argument("--size", choices=SIZES, default="official", help="of the network")
    parser.add_argument("--sentences", type=int, default=480, help="of an epoch with batches: 12 × 40")
    parser.add_argument("--few", type=int, default=24, help="sentences for batch one and the loop as published")
    parser.add_argument("--batch", type=int, default=32, help="clips a step, and motions at once")
    parser.add_argument("--seconds", nargs="+", type=float, default=[10.0, 60.0], help="of speech")
    parser.add_argument("--threads", type=int, default=8, help="of the processor, for torch")
    parser.add_argument("--json", metavar="FILE", help="write all figures here too")
    return parser


if __name__ == "__main__":
    main()
