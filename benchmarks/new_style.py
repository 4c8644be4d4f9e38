"""`python -m benchmarks.new_style CHECKPOINT DATA FEATURES`: what styles are worth that are fitted to clips.

Artifact folders of a trained network, of data with subjects whom it has not heard (all of them, or `--subjects`), and
of their features. A subject's style is fitted to 1, 2, 4 clips (`--clips`), as the stage `style` does, and speaks the
subject's other clips; the clips that are fitted to are taken in turn, as many apart as there are, at most `--draws`
times. Printed is the lip vertex error on the other clips, mean over clips and draws, beside those of

* "best on the clips": the training style that suits the clips best that are fitted to, which is what one could choose;
* "best of all": an oracle, the training style with the least error on the very clips that are measured;
* the even mixture of all training styles;
* "another's": the styles fitted to as many clips of the subject before this one. Where that is as good, what was fitted
  is no style of the subject's, but something that the network lacks for whoever it has not heard.

The last row of each number of clips is the mean over subjects, and for how many of them the fitted style is better.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch

from faces.lips import lve_per_frame
from models.talking_face import Styled
from pipeline.errors import StageError
from pipeline.progress import table
from stages.infer.work import Inputs
from stages.kinds.checkpoint import Checkpoint
from stages.kinds.features import Features
from stages.kinds.sequences import Sequences
from stages.style import Params
from stages.style.clips import batches, read
from stages.style.fit import Descent, Fitted, fit, hear
from stages.train.health import LIPS

HEADS = (
    *("clips", "subject", "fits", "fitted", "best on the clips", "best of all", "even mixture", "another's"),
    *("loss", "fitted loss", "s per fit"),
)


class Draw(NamedTuple):
    """Of one fit: errors on the other clips, losses on those that were fitted to, and seconds."""

    fitted: float
    start: float
    best: float
    mean: float
    another: float
    loss_before: float
    loss_after: float
    seconds: float


def errors(network: Styled, inputs: Inputs, names: Sequence[str], rows: torch.Tensor) -> np.ndarray:
    """(clips, S): LVE of every clip in every style, mean over frames, in the data's unit squared."""
    lips = inputs.data.region(LIPS)
    if lips is None:
        raise StageError(f"{inputs.data.path} has no region {LIPS!r}, over which the error is taken")
    found = []
    for name in names:
        features = torch.from_numpy(inputs.features[name].astype(np.float32))
        template = torch.from_numpy(inputs.data.template_of(name).reshape(-1))
        truth = inputs.data.vertices(name)
        made = network.predict(features, template, rows).numpy()
        frames = min(len(truth), made.shape[1])
        shaped = made[:, :frames].reshape(len(rows), frames, -1, 3)
        found.append([float(lve_per_frame(truth[:frames], motion, lips).mean()) for motion in shaped])
    return np.array(found)


def fitted_style(inputs: Inputs, names: Sequence[str], descent: Descent) -> tuple[Styled, Fitted]:
    """A network whose last subject is fitted to clips."""
    subjects = list(inputs.checkpoint.facts.train_subjects)
    network = cast("Styled", inputs.checkpoint.load_network())
    groups = batches(network, inputs.data, inputs.features, names, 8)
    clips = [read(inputs.data, inputs.features, group, len(subjects)) for group in groups]
    return network, fit(network, [hear(network, some, len(names)) for some in clips], subjects, descent)


def measure(
    inputs: Inputs, fitted_to: Sequence[str], others: Sequence[str], strange: Styled | None, descent: Descent
) -> tuple[Draw, Styled]:
    """One fit, beside a network whose last subject is somebody else; and the network that was fitted."""
    subjects = list(inputs.checkpoint.facts.train_subjects)
    known = torch.cat((torch.eye(len(subjects)), torch.full((1, len(subjects)), 1 / len(subjects))))
    before = errors(cast("Styled", inputs.checkpoint.load_network()), inputs, others, known).mean(axis=0)
    newcomer = torch.eye(len(subjects) + 1)[-1:]
    began = time.perf_counter()
    network, found = fitted_style(inputs, fitted_to, descent)
    seconds = time.perf_counter() - began
    own = errors(network, inputs, others, newcomer).mean()
    another = float("nan") if strange is None else errors(strange, inputs, others, newcomer).mean()
    start = before[[*subjects, "mean"].index(found.start)]
    losses = found.starts[found.start], found.loss
    return Draw(own, start, before[:-1].min(), before[-1], another, *losses, seconds), network


def apart(names: Sequence[str], count: int, most: int) -> list[list[str]]:
    """Up to `most` groups of so many clips, 0: as many as there are; no clip is in two of them."""
    groups = [list(names[i : i + count]) for i in range(0, len(names) - count + 1, count)]
    return groups[:most] if most else groups


def main() -> None:
    given = _parser().parse_args()
    torch.set_num_threads(given.threads)
    inputs = Inputs(Checkpoint(given.checkpoint), Sequences(given.data), Features(given.features))
    clips = _clips(inputs, given.subjects)
    if short := [subject for subject, names in clips.items() if len(names) <= max(given.clips)]:
        raise SystemExit(f"{short[0]} has {len(clips[short[0]])} clips: some must be left to measure")
    square = 1e6 if inputs.data.units == "m" else 1.0
    descent, rows = Descent(given.rates, given.steps), []
    for count in given.clips:
        found: dict[str, list[Draw]] = {subject: [] for subject in clips}
        strange: Styled | None = None
        for subject, names in clips.items():
            for group in apart(names, count, given.draws):
                others = [name for name in names if name not in group]
                draw, network = measure(inputs, group, others, strange, descent)
                found[subject].append(draw)
            strange = network
            rows.append((count, subject, len(found[subject]), *_cells(found[subject], square)))
            print(table(rows[-1:], HEADS), flush=True)
        rows.append((count, "mean of all", sum(map(len, found.values())), *_cells(_means(found), square)))
        print(_verdict(count, _means(found)), flush=True)
    unit = "mm²" if square != 1.0 else f"({inputs.data.units})²"
    print(f"\n{inputs.checkpoint.config.model}, {given.steps} steps at each of {given.rates}; LVE in {unit}")
    print(table(rows, HEADS))


def _clips(inputs: Inputs, subjects: Sequence[str]) -> dict[str, list[str]]:
    """Subject → clips, of those named, or of all that were not trained on."""
    found: dict[str, list[str]] = {}
    for name in inputs.data.ids():
        found.setdefault(inputs.data.entry(name).subject, []).append(name)
    trained = inputs.checkpoint.facts.train_subjects
    return {name: found[name] for name in subjects or sorted(set(found) - set(trained))}


def _means(found: dict[str, list[Draw]]) -> list[Draw]:
    return [Draw(*np.nanmean(draws, axis=0)) for draws in found.values()]


def _cells(draws: Sequence[Draw], square: float) -> list[str]:
    values = np.nanmean(draws, axis=0)
    return [*(f"{value * square:.2f}" for value in values[:5]), *(f"{value:.4g}" for value in values[5:])]


def _verdict(count: int, means: Sequence[Draw]) -> str:
    start, best = sum(one.fitted < one.start for one in means), sum(one.fitted < one.best for one in means)
    return (
        f"{count} clips: better than the best on the clips for {start} of {len(means)} subjects, "
        f"than the best of all for {best}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    for name in ("checkpoint", "data", "features"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--subjects", nargs="+", default=[], help="who were not trained on; default: all such")
    parser.add_argument("--clips", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument(
        "--draws", type=int, default=0, help="at most so many for each subject; 0: as many as there are"
    )
    usual = Params(model="")
    parser.add_argument("--rates", type=float, nargs="+", default=usual.rates)
    parser.add_argument("--steps", type=int, default=usual.steps)
    parser.add_argument("--threads", type=int, default=1)
    return parser


if __name__ == "__main__":
    main()
