"""`python -m benchmarks.new_style CHECKPOINT DATA FEATURES --subject NAME`: what a style fitted to clips is worth.

Artifact folders of a trained network, of data in which it has not heard the subject, and of their features. The style
is fitted to 1, 2, 4 clips (`--clips`), as the stage `style` does, and speaks the subject's other clips; each clip is in
turn the first of those that are fitted to (`--draws`: at most so many). Printed is the lip vertex error on the other
clips, mean over clips and draws, beside those of the training styles and of their even mixture. "best style" is an
oracle: of the training styles the one with the least error on the very clips that are measured.

With `--control` another subject's fitted style, of as many clips, speaks the same ones. Where that is as good, what was
fitted is no style of the subject's, but something that the network lacks for whoever it has not heard.
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
    *("clips", "fits", "fitted", "control's", "start", "even mixture", "best style (oracle)"),
    *("loss", "fitted loss", "s per fit"),
)


class Draw(NamedTuple):
    """Of one fit: errors on the other clips, losses on those that were fitted to, and seconds."""

    fitted: float
    control: float
    start: float
    mean: float
    best: float
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
    inputs: Inputs, fitted_to: Sequence[str], others: Sequence[str], control: Sequence[str], descent: Descent
) -> Draw:
    """One fit, and one to the control's clips where there are some."""
    subjects = list(inputs.checkpoint.facts.train_subjects)
    known = torch.cat((torch.eye(len(subjects)), torch.full((1, len(subjects)), 1 / len(subjects))))
    before = errors(cast("Styled", inputs.checkpoint.load_network()), inputs, others, known).mean(axis=0)
    newcomer = torch.eye(len(subjects) + 1)[-1:]
    began = time.perf_counter()
    network, found = fitted_style(inputs, fitted_to, descent)
    seconds = time.perf_counter() - began
    own, foreign = errors(network, inputs, others, newcomer).mean(), float("nan")
    if control:
        foreign = errors(fitted_style(inputs, control, descent)[0], inputs, others, newcomer).mean()
    start = before[[*subjects, "mean"].index(found.start)]
    return Draw(own, foreign, start, before[-1], before[:-1].min(), found.starts[found.start], found.loss, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    for name in ("checkpoint", "data", "features"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--subject", required=True, help="who was not trained on")
    parser.add_argument("--control", default="", help="another subject")
    parser.add_argument("--clips", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--draws", type=int, default=0, help="0: as many as there are clips")
    usual = Params(model="")
    parser.add_argument("--rates", type=float, nargs="+", default=usual.rates)
    parser.add_argument("--steps", type=int, default=usual.steps)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    inputs = Inputs(Checkpoint(given.checkpoint), Sequences(given.data), Features(given.features))
    names, controls = (
        [name for name in inputs.data.ids() if inputs.data.entry(name).subject == subject]
        for subject in (given.subject, given.control)
    )
    if len(names) <= max(given.clips):
        parser.error(f"{given.subject} has {len(names)} clips: some must be left to measure")
    square = 1e6 if inputs.data.units == "m" else 1.0
    rows = []
    for count in given.clips:
        ring = [names[i:] + names[:i] for i in range(given.draws or len(names))]
        descent = Descent(given.rates, given.steps)
        draws = [measure(inputs, one[:count], one[count:], controls[:count], descent) for one in ring]
        found = np.mean(draws, axis=0)
        rows.append(
            (count, len(draws), *(f"{value * square:.2f}" for value in found[:5]), *(f"{v:.4g}" for v in found[5:]))
        )
        print(table(rows[-1:], HEADS), flush=True)
    unit = "mm²" if square != 1.0 else f"({inputs.data.units})²"
    what = f"{inputs.checkpoint.config.model}, {given.subject}, {given.steps} steps at each of {given.rates}"
    print(f"\n{what}; LVE in {unit}")
    print(table(rows, HEADS))


if __name__ == "__main__":
    main()
