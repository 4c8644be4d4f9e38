"""`python -m benchmarks.context CHECKPOINT SEQUENCES FEATURES`: what bounding CodeTalker's context costs and gains.

Three artifacts of a run: a trained `codetalker`, its data and its features. The sentences of a split are spoken, each
in one training subject's style, exactly and with bounded contexts: time, share of codes that differ, and lip vertex
error (CodeTalker's definition, over the data's region "lips").
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from faces.errors import DataError
from faces.metrics import lve_per_frame, to_shorter
from models.talking_face import Speech
from stages.kinds.checkpoint import Checkpoint
from stages.kinds.features import Features
from stages.kinds.sequences import Sequences


class Spoken(NamedTuple):
    """Of all sentences: seconds, codes (T, Q) and motion (T, V, 3) each."""

    seconds: float
    codes: list[Tensor]
    motions: list[np.ndarray]


def speeches(data: Sequences, features: Features, subjects: Sequence[str], names: Sequence[str]) -> list[Speech]:
    """One per sentence, in its speaker's style if that was trained on, else in the first one's."""
    made = []
    for name in names:
        speaker = data.entry(name).subject
        style = torch.eye(len(subjects))[subjects.index(speaker) if speaker in subjects else 0]
        heard = torch.from_numpy(features[name].astype(np.float32))
        made.append(Speech(heard, torch.from_numpy(data.templates[speaker].reshape(-1)), style[None]))
    return made


def speak(network: Any, wanted: Sequence[Speech], context: int) -> Spoken:
    """One after the other."""
    network.bound_context(context)
    start = time.perf_counter()
    motions = [network.predict_all([speech])[0][0].numpy() for speech in wanted]
    seconds = time.perf_counter() - start
    codes = [network.predict_codes([speech])[0][0] for speech in wanted]
    return Spoken(seconds, codes, [motion.reshape(len(motion), -1, 3) for motion in motions])


def lip_error(data: Sequences, names: Sequence[str], spoken: Spoken) -> float:
    """Mean over all frames, in the data's unit squared."""
    lips = data.region("lips")
    if lips is None:
        raise DataError(f"{data.path} has no region 'lips'")
    pairs = [
        to_shorter(np.asarray(data.vertices(name)).reshape(-1, *motion.shape[1:]), motion)
        for name, motion in zip(names, spoken.motions, strict=True)
    ]
    return float(np.concatenate([lve_per_frame(truth, motion, lips) for truth, motion in pairs]).mean())


def main() -> None:
    """Print a line per context."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name in ("checkpoint", "sequences", "features"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--contexts", nargs="+", type=int, default=[15, 30, 60], help="frames looked back upon")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    checkpoint, data, features = (
        Checkpoint(options.checkpoint),
        Sequences(options.sequences),
        Features(options.features),
    )
    names = data.ids(options.split)
    if not names:
        parser.error(f"{options.sequences} has no sequence in {options.split!r}")
    network = checkpoint.load_network()
    wanted = speeches(data, features, list(checkpoint.facts.train_subjects), names)
    exact = speak(network, wanted, 0)
    error = lip_error(data, names, exact)
    frames = sum(map(len, exact.codes))
    print(f"exact: {len(names)} sentences, {frames} frames in {exact.seconds:.2f} s, LVE {error:.4g} {data.units}²")
    for context in options.contexts:
        bounded = speak(network, wanted, context)
        pairs = zip(exact.codes, bounded.codes, strict=True)
        differ = np.concatenate([(one != other).numpy().ravel() for one, other in pairs]).mean()
        change = 100 * (lip_error(data, names, bounded) / error - 1)
        print(f"context {context}: {bounded.seconds:.2f} s, {100 * differ:.1f} % of codes differ, LVE {change:+.2f} %")


if __name__ == "__main__":
    main()
