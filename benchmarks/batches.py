"""`python -m benchmarks.batches`: eight clips at once against eight times one, of SelfTalk and TalkingStyle.

On drawn weights and made-up clips of one length, in one process for each network:

* training: the stage's own loop, one clip and `--clips` clips a step, of an epoch after the first;
* speech: `predict_all` of so many clips against `predict` of each, from cached features on;
* motion: the same behind the speech encoder: the decoder and the projection to vertices.

Which of them `--parts` names is measured. Both ways must give the same motion. Times are those of the processor, the
best of `--repeats` rounds, in each of which both ways take their turn; behind them the ratios of all rounds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from models.autoregressive import AutoregressiveFace
from models.listening import ListeningFace
from models.selftalk.face import SelfTalk
from models.settings import wants_of
from models.talking_face import Speech, TalkingFace
from pipeline.progress import table
from stages.bench import DATA, SIZES
from stages.bench.sizes import build, facts, settings
from stages.bench.synthetic import steps
from stages.bench.training import Subject, time_steps
from stages.processor import set_up
from stages.train import Params

MODELS = ("selftalk", "talkingstyle")
PARTS = ("training", "speech", "motion")
TOLERANCE = 1e-3
"""Of vertices, where values reach ten."""
Row = dict[str, Any]
Ways = tuple[Callable[[], float], Callable[[], float]]


def training_ways(model: str, options: argparse.Namespace) -> Ways:
    """Processor seconds of the second epoch, of one clip a step and of all."""
    told, wanted = facts(options.data, options.size, model), settings(model, options.data, options.size)

    def epoch(batch: int) -> float:
        network, _ = build(model, options.data, options.size, "cpu")
        subject = Subject(network, told, wants=wants_of(wanted))
        bound = {"micro_batch": options.at_once} if options.at_once else {}
        params = Params(model=model, epochs=2, batch_size=batch, save_every=1e9, **bound)
        marks = time_steps(subject, [options.seconds] * options.clips, params, "cpu").marks
        return marks[-1][1] - marks[(len(marks) - 1) // 2][1]

    return lambda: epoch(1), lambda: epoch(options.clips)


def speech_ways(model: str, options: argparse.Namespace) -> Ways:
    """Processor seconds of all clips, one after the other and at once. AssertionError where motions differ."""
    network, told = moving(model, options), facts(options.data, options.size, model)
    styles = torch.eye(len(told.train_subjects))
    template = 0.1 * torch.randn(3 * told.vertices)
    speeches = [
        Speech(torch.randn(steps(options.seconds), told.channels), template, styles[i % len(styles)][None])
        for i in range(options.clips)
    ]

    def alone() -> list[Tensor]:
        return [network.predict(one.features, one.template, one.styles) for one in speeches]

    return both(alone, lambda: network.predict_all(speeches))


def motion_ways(model: str, options: argparse.Namespace) -> Ways:
    """The same behind the speech encoder."""
    network, told = moving(model, options), facts(options.data, options.size, model)
    styles = torch.eye(len(told.train_subjects))[[i % len(told.train_subjects) for i in range(options.clips)]]
    template = 0.1 * torch.randn(3 * told.vertices)
    frames = network.frames_for(steps(options.seconds))
    d = settings(model, options.data, options.size).feature_dim

    def said(memory: Tensor, style: Tensor) -> Tensor:
        """(B, S, d), (B, K) → (B, T, D)"""
        if isinstance(network, SelfTalk):
            return network.to_vertices(network.decode(memory, [frames] * len(memory)), template)
        face = cast("AutoregressiveFace", network)
        return face.to_vertices(face.decode_own(memory, face.style(style)), template)

    heard = cast("ListeningFace", network)
    memory = torch.randn(options.clips, frames * heard.per_frame // heard.joins, d)
    rows = [slice(i, i + 1) for i in range(options.clips)]
    return both(
        lambda: [said(memory[row], styles[row]) for row in rows],
        lambda: list(said(memory, styles).split(1)),
    )


def moving(model: str, options: argparse.Namespace) -> TalkingFace:
    """In eval mode. The published beginning is the template, whatever is heard."""
    network, _ = build(model, options.data, options.size, "cpu")
    outward = network.vertice_map_r if isinstance(network, SelfTalk) else cast("AutoregressiveFace", network).outward
    nn.init.normal_(outward.weight, std=outward.in_features**-0.5)
    return cast("TalkingFace", cast("nn.Module", network).eval())


def both(alone: Callable[[], list[Tensor]], together: Callable[[], list[Tensor]]) -> Ways:
    """Timed. AssertionError where they give different motions."""
    with torch.no_grad():
        pairs = zip(alone(), together(), strict=True)
        apart = max((one - other).abs().max().item() for one, other in pairs)
    assert apart < TOLERANCE, f"one by one and at once differ by {apart:.2g}"
    return lambda: seconds_of(alone), lambda: seconds_of(together)


def seconds_of(run: Callable[[], object]) -> float:
    """Of the processor."""
    with torch.no_grad():
        began = time.process_time()
        run()
        return time.process_time() - began


WAYS: dict[str, Callable[[str, argparse.Namespace], Ways]] = {
    "training": training_ways,
    "speech": speech_ways,
    "motion": motion_ways,
}


def measured(options: argparse.Namespace) -> Iterator[Row]:
    """A row for each network and part."""
    for model in options.models:
        for part in options.parts:
            alone, together = WAYS[part](model, options)
            rounds = [(alone(), together()) for _ in range(options.repeats)]
            yield {
                "model": model,
                "part": part,
                "clips": options.clips,
                "seconds": options.seconds,
                "alone": min(one for one, _ in rounds) / options.clips,
                "together": min(other for _, other in rounds) / options.clips,
                "ratios": [one / other for one, other in rounds],
            }


def report(rows: list[Row]) -> str:
    """As a table."""
    cells = [
        (
            row["model"], row["part"], f"{row['alone']:.4g}", f"{row['together']:.4g}",
            f"{row['alone'] / row['together']:.2f}", f"{min(row['ratios']):.2f}-{max(row['ratios']):.2f}",
        )
        for row in rows
    ]  # fmt: skip
    return table(cells, ("", "", "s a clip alone", "at once", "times", "rounds"))


def main() -> None:
    """Run the benchmark."""
    options = _options().parse_args()
    set_up(options.threads)
    torch.manual_seed(0)
    print(f"{options.clips} clips of {options.seconds:g} s, {options.data}, {options.size}")
    rows = list(measured(options))
    print(report(rows))
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS, help="all by default")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="all by default")
    parser.add_argument("--data", choices=DATA, default="vocaset", help="topology, frame rate and settings")
    parser.add_argument("--size", choices=SIZES, default="small", help="of the networks")
    parser.add_argument("--clips", type=int, default=8, help="at once, and one by one")
    parser.add_argument(
        "--at-once", type=int, default=0, help="of a training step's in the network; 0: as the stage does"
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="of each clip")
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument("--threads", type=int, default=1, help="for torch")
    parser.add_argument("--json", metavar="FILE", help="write all figures here too")
    return parser


if __name__ == "__main__":
    main()
