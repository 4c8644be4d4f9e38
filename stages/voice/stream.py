"""A network that speaks while it is spoken to: sound comes in, frames go out, and nothing is kept.

How much sound a frame waits for, and how many frames are made at a time, is the network's `Look`; here sound is read,
faces and styles are looked up, and time is taken.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from faces.errors import DataError
from models.streaming import Look
from pipeline.errors import RecipeError, StageError
from stages.infer.styles import Style, styles_of
from stages.kinds.checkpoint import Checkpoint, speaks_in_styles, weights_file
from stages.kinds.sequences import Sequences
from stages.processor import set_up
from stages.voice.frames_out import NpyFile, Out, Pipe
from stages.voice.prepare import find_face
from stages.voice.raw_sound import RATE, Block, blocks


@dataclass
class Timing:
    """What a stream took. heard, heard_at_first: seconds of sound that had come in, at all and at the first frame.
    waited: seconds that went by before sound came. first: seconds from the first sound to the first frame, without
    those. total: seconds of all, without those. frames: made.
    """

    heard: float = 0.0
    heard_at_first: float = 0.0
    waited: float = 0.0
    first: float = 0.0
    total: float = 0.0
    frames: int = 0

    def sentence(self) -> str:
        factor = f"{self.heard / self.total:.3g}" if self.total else "–"
        return (
            f"{self.heard:.2f} s of sound, {self.frames} frames, {factor} times real time; the first frame came after "
            f"{self.heard_at_first:.2f} s of sound and {self.first:.2f} s of computing"
        )


@dataclass(frozen=True)
class Ask:
    """One stream. checkpoint, data: folders. conditions: as of the stage infer, for one style. ahead, hop: seconds, or
    None for the network's own; ahead below 0 waits for the end of the sound. out: an .npy file, else standard output.
    """

    checkpoint: Path
    data: Path | None
    subject: str
    mesh: str | None
    conditions: str | Sequence[str]
    weights: str
    ahead: float | None
    hop: float | None
    out: str
    device: str
    workers: int
    context: int = 0


def stream(source: BinaryIO | None = None, sink: BinaryIO | None = None, **asked: Any) -> None:
    """Speak what `source` sends, standard input if None, and say on standard error what it took.

    asked: the fields of `Ask`. DataError or StageError where something does not fit.
    """
    ask = Ask(**asked)
    set_up(ask.workers)
    checkpoint = Checkpoint(ask.checkpoint)
    style = one_style(ask, checkpoint)
    data = Sequences(ask.data) if ask.data else None
    template = find_face(checkpoint, data, ask.subject or "face", ask.mesh).template
    network: Any = checkpoint.load_network(_device(ask.device), weights=weights_file(ask.weights))
    if not hasattr(network, "stream"):
        raise StageError(f"{checkpoint.config.model!r} makes all frames of a sound at once: leave --stream out")
    if ask.context:
        if not hasattr(network, "bound_context"):
            raise StageError(
                f"context = {ask.context}, and {checkpoint.config.model!r} looks back on all frames at no cost: "
                "leave context out"
            )
        network.bound_context(ask.context)
    timing, sound = Timing(), source or sys.stdin.buffer
    if ask.out:
        with NpyFile(Path(ask.out), len(template)) as file:
            speak(network, sound, template, style, ask, file, timing)
    else:
        speak(network, sound, template, style, ask, Pipe(sink or sys.stdout.buffer), timing)
    print(timing.sentence(), file=sys.stderr)


def one_style(ask: Ask, checkpoint: Checkpoint) -> NDArray[np.float32]:
    """(K,): the row of the only style that is asked for. RecipeError where there are several."""
    subjects = checkpoint.facts.train_subjects
    styled = speaks_in_styles(checkpoint.config.model)
    styles: list[Style] = styles_of(ask.conditions, ask.subject, subjects, ask.checkpoint, styled=styled)
    if len(styles) != 1:
        raise RecipeError(f"a stream has one style, and these are {len(styles)}: name one with --style, or a mixture")
    return np.asarray(styles[0].row(subjects), np.float32)


def speak(
    network: Any,
    source: BinaryIO,
    template: NDArray[np.float32],
    style: NDArray[np.float32],
    ask: Ask,
    out: Out,
    timing: Timing,
) -> None:
    """Every block of frames to `out` as soon as it is there. template: (V, 3). style: (K,)."""
    device = _device(ask.device)
    flat, row = (torch.from_numpy(array.reshape(-1)).to(device) for array in (template, style))
    began = time.perf_counter()
    with torch.no_grad():
        for block in network.stream(_timed(source, timing), flat, row, look=look(ask)):
            frames = block.float().cpu().numpy()
            if not np.isfinite(frames).all():
                raise DataError("the network's motion is not finite: train it again, with a lower lr")
            if not timing.frames:
                timing.first, timing.heard_at_first = time.perf_counter() - began - timing.waited, timing.heard
            out.write(frames.reshape(len(frames), -1, 3))
            timing.frames += len(frames)
    timing.total = time.perf_counter() - began - timing.waited
    if not timing.frames:
        raise DataError(f"{timing.heard:.3f} s of sound are too short for one frame of motion: send more")


def look(ask: Ask) -> Look:
    """How far the network looks: its own habit where nothing was said."""
    found = Look() if ask.ahead is None else Look(ahead=None if ask.ahead < 0 else ask.ahead)
    return found if ask.hop is None else replace(found, hop=ask.hop)


def _timed(source: BinaryIO, timing: Timing) -> Iterator[Block]:
    """Blocks of sound; the time that passes until one comes is not the network's."""
    arriving = blocks(source)
    while True:
        before = time.perf_counter()
        block = next(arriving, None)
        timing.waited += time.perf_counter() - before
        if block is None:
            return
        timing.heard += len(block) / RATE
        yield block


def _device(word: str) -> str:
    count = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if word == "auto":
        return next((name for name, found in count.items() if found), "cpu")
    kind, _, index = word.partition(":")
    if int(index or 0) >= count.get(kind, 1):
        raise StageError(f"--device {word}: torch sees no such device on this machine; use auto or cpu")
    return word
