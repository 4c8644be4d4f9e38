"""`python -m benchmarks.streaming CHECKPOINT SEQUENCES [SOUND …]`: what streaming costs, how far from offline.

CHECKPOINT: a trained network that hears log-mel, or one with its convolutions. SEQUENCES: the data it was trained on,
for a template, the region "lips" and, unless files of sound are given, the sound of its test split. Each clip is spoken
offline and as a stream, block by block of 20 ms, with more and more look ahead: the difference of lip vertices (root
mean square, relative to the deviation of the offline motion), how much speech must have been heard before the first
frame comes, how long computing it then takes, and how many times faster than real time a stream runs. Of the split's
own sound also the lip vertex error against the truth, in parts of that of offline.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from faces.lips import lve_per_frame
from models.sound import SAMPLE_RATE, Wave, standardise
from models.streaming import Look
from stages.audio import speech
from stages.kinds.checkpoint import Checkpoint
from stages.kinds.sequences import Sequences

BLOCK = 320


class Run(NamedTuple):
    """motion: (T, D). heard: seconds of sound until the first frame. computing: seconds of the slowest block of frames.
    seconds: processor time of all."""

    motion: Tensor
    heard: float
    computing: float
    seconds: float


class Live:
    """Sound in blocks of 20 ms; `given` counts the samples that were asked for."""

    def __init__(self, wave: Wave) -> None:
        self.wave, self.given = wave, 0

    def __iter__(self) -> Iterator[Wave]:
        for first in range(0, len(self.wave), BLOCK):
            self.given = min(first + BLOCK, len(self.wave))
            yield self.wave[first : self.given]


def streamed(network: Any, wave: Wave, template: Tensor, style: Tensor, look: Look) -> Run:
    """One clip, as it comes."""
    live, parts, heard, slowest = Live(wave), [], 0.0, 0.0
    began = last = time.process_time()
    for part in network.stream(live, template, style, look):
        heard = heard or live.given / SAMPLE_RATE
        parts.append(part)
        slowest, last = max(slowest, time.process_time() - last), time.process_time()
    return Run(torch.cat(parts), heard, slowest, time.process_time() - began)


def lips_apart(one: Tensor, other: Tensor, lips: np.ndarray) -> tuple[float, float]:
    """Sums over frames, lip vertices and axes: of squared differences, and of squared deviations from the mean."""
    first, second = (motion.view(len(motion), -1, 3)[:, lips] for motion in (one, other))
    return float((first - second).square().sum()), float((second - second.mean(0)).square().sum())


class Clip(NamedTuple):
    """wave: at 16 kHz. template: (D,). truth: (T, V, 3), None of sound from elsewhere."""

    wave: Wave
    template: Tensor
    truth: np.ndarray | None = None


def spoken(network: Any, clip: Clip, style: Tensor) -> Tensor:
    """(T, D), offline."""
    motion: Tensor = network.predict(network.features_of(standardise(clip.wave)), clip.template, style[None])[0]
    return motion


def clips_of(data: Sequences, files: list[Path], split: str) -> list[Clip]:
    """The files' sound on the first face, or the split's own on its own faces."""
    if files:
        first = torch.from_numpy(next(iter(data.templates.values())).reshape(-1))
        return [Clip(speech(file), first) for file in files]
    return [
        Clip(
            speech(data.path / "wav" / f"{name}.wav"),
            torch.from_numpy(data.template_of(name).reshape(-1)),
            np.array(data.vertices(name)).reshape(-1, data.info.vertices, 3),
        )
        for name in data.ids(split)
    ]


def lip_error(clips: list[Clip], motions: list[Tensor], lips: np.ndarray) -> float:
    """Mean over frames of "lve/facediffuser"; NaN where nothing is known of the truth."""
    errors = []
    for clip, motion in zip(clips, motions, strict=True):
        if clip.truth is not None:
            frames = min(len(motion), len(clip.truth))
            made = motion[:frames].view(frames, -1, 3).numpy()
            errors.append(lve_per_frame(clip.truth[:frames], made, lips))
    return float(np.concatenate(errors).mean()) if errors else float("nan")


def main() -> None:
    """Print a line per look."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("sequences", type=Path)
    parser.add_argument("sound", type=Path, nargs="*", help="wav files; by default those of the split")
    parser.add_argument("--split", default="test")
    parser.add_argument("--ahead", nargs="*", type=float, default=[0.0, 0.1, 0.2, 0.4, 0.8, 1.6])
    parser.add_argument("--past", type=float, default=Look.past)
    parser.add_argument("--hop", type=float, default=Look.hop)
    parser.add_argument(
        "--context", type=int, default=0, help="frames that a network upon a motion prior looks back on"
    )
    parser.add_argument("--windows", nargs="*", type=float, default=[2.0, 4.0, 8.0], help="seconds heard at once")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = Sequences(options.sequences)
    network: Any = Checkpoint(options.checkpoint).load_network()
    if options.context:
        network.bound_context(options.context)
    lips = data.region("lips")
    if lips is None:
        parser.error(f"{options.sequences} has no region 'lips'")
    style = torch.eye(network.subjects)[0]
    clips = clips_of(data, options.sound, options.split)
    seconds = sum(len(clip.wave) for clip in clips) / SAMPLE_RATE
    offline = [spoken(network, clip, style) for clip in clips]
    error = lip_error(clips, offline, lips)
    print(
        f"{len(clips)} clips, {seconds:.1f} s, past {options.past:g} s, hop {options.hop:g} s, {options.threads} thread"
    )
    for ahead in [*options.ahead, None]:
        look = Look(options.past, ahead, options.hop)
        runs = [streamed(network, clip.wave, clip.template, style, look) for clip in clips]
        sums = np.sum([lips_apart(run.motion, whole, lips) for run, whole in zip(runs, offline, strict=True)], axis=0)
        heard, computing = np.median([run.heard for run in runs]), np.median([run.computing for run in runs])
        times = seconds / sum(run.seconds for run in runs)
        worse = lip_error(clips, [run.motion for run in runs], lips) / error
        print(
            f"ahead {'all' if ahead is None else format(ahead, 'g')}: lips {100 * np.sqrt(sums[0] / sums[1]):.2f} % "
            f"apart, error times {worse:.2f}, first frame after {heard:.2f} s of speech, "
            f"slowest block {1000 * computing:.0f} ms, "
            f"{times:.1f} times real time",
            flush=True,
        )
    for window in options.windows:
        network.bound_hearing(window)
        near = [spoken(network, clip, style) for clip in clips]
        sums = np.sum([lips_apart(one, whole, lips) for one, whole in zip(near, offline, strict=True)], axis=0)
        print(f"offline, heard in windows of {window:g} s: lips {100 * np.sqrt(sums[0] / sums[1]):.2f} % apart")


if __name__ == "__main__":
    main()
