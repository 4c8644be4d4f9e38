"""Made-up artifacts to train on: what speed depends on is real (shapes, files, formats), their numbers are drawn."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.motion_prior import MotionPrior
from models.settings import Wants
from models.talking_face import DataFacts
from stages.kinds import codes as codes_kind
from stages.kinds.codes import Codes
from stages.kinds.features import HIDDEN, LOGITS, RATE, Encoder, Features, write_features
from stages.kinds.sequences import TEMPLATES, VERTICES, Entry, Info, Sequences, sequence_id, write_index, write_region
from stages.train.clips import NOTHING, ClipReader

SAMPLES = 16_000


def steps(seconds: float) -> int:
    """Speech features at 50 Hz of a sound, which the convolutions cut by their own width."""
    return max(2, int(RATE * seconds) - 1)


def write_clips(folder: Path, facts: DataFacts, seconds: Sequence[float], prior: MotionPrior | None = None) -> None:
    """`sequences`, `features` and, for a network upon a prior, `codes` below `folder`: a clip for each length.
    Regions and what a recogniser heard are there where the facts tell of them.

    Clips of one length share their vertices by a link, so that many of them take the room of one.
    """
    rng = np.random.default_rng(0)
    subjects = list(facts.train_subjects)
    (folder / "sequences" / VERTICES).mkdir(parents=True)
    template = rng.normal(scale=0.05, size=(facts.vertices, 3)).astype(np.float32)
    np.savez(folder / "sequences" / TEMPLATES, allow_pickle=False, **dict.fromkeys(subjects, template))
    entries, made = {}, dict[float, Path]()
    for number, length in enumerate(seconds):
        subject, sentence = subjects[number % len(subjects)], f"s{number:04d}"
        name, frames = sequence_id(subject, sentence), max(2, round(length * facts.fps))
        file = folder / "sequences" / VERTICES / f"{name}.npy"
        if length in made:
            os.link(made[length], file)
        else:
            _draw_motion(file, template, frames, rng)
            made[length] = file
        entries[name] = Entry(subject, sentence, "train", frames, round(length * SAMPLES), SAMPLES)
    info = Info("synthetic", facts.fps, "m", "y", facts.vertices, {"train": subjects}, entries)
    write_index(folder / "sequences", info)
    for name, indices in facts.regions.items():
        write_region(folder / "sequences", name, indices)
    _write_features(folder / "features", facts, info, rng)
    if prior is not None:
        _write_codes(folder / "codes", prior, info, rng)


def read_clips(folder: Path, wants: Wants = NOTHING) -> ClipReader:
    """What the training loop reads of a folder that `write_clips` filled, for a network that wants this."""
    there = folder / "codes"
    codes = Codes(there) if there.is_dir() else None
    return ClipReader(Sequences(folder / "sequences"), Features(folder / "features"), codes, wants)


def _draw_motion(file: Path, template: np.ndarray, frames: int, rng: np.random.Generator) -> None:
    """A clip in which the whole face sways by millimetres."""
    sway = 0.002 * rng.standard_normal((frames, 1, 3)).cumsum(axis=0) / np.sqrt(frames)
    np.save(file, (template + sway).astype(np.float32).reshape(frames, -1))


def _write_features(folder: Path, facts: DataFacts, info: Info, rng: np.random.Generator) -> None:
    folder.mkdir()
    encoder = Encoder(
        facts.encoder,
        "conv",
        facts.channels,
        facts.encoder_config,
        "drawn",
        facts.vocabulary,
        "drawn" if facts.text_width else "",
    )
    lengths = {name: steps(entry.samples / SAMPLES) for name, entry in info.sequences.items()}
    texts = {HIDDEN: facts.text_width, LOGITS: len(facts.vocabulary)} if facts.text_width else {}

    def draw(channels: int) -> Callable[[str], NDArray[np.float32]]:
        return lambda name: rng.standard_normal((lengths[name], channels), np.float32)

    more = {part: draw(channels) for part, channels in texts.items()}
    write_features(folder, lengths, encoder, draw(facts.channels), RATE, **more)


def _write_codes(folder: Path, prior: MotionPrior, info: Info, rng: np.random.Generator) -> None:
    (folder / codes_kind.FOLDER).mkdir(parents=True)
    counts = {name: min(e.frames, steps(e.samples / SAMPLES) // 2) for name, e in info.sequences.items()}
    if info.fps != RATE / 2:  # speech is stretched to the motion, which is then never cut
        counts = {name: entry.frames for name, entry in info.sequences.items()}
    for name, frames in counts.items():
        drawn = rng.integers(prior.codes, size=(frames, prior.tokens), dtype=np.int16)
        np.save(folder / codes_kind.FOLDER / f"{name}.npy", drawn)
    codes_kind.write_index(folder, codes_kind.Info("drawn", "drawn", prior.tokens, prior.codes, counts, 1.0, 1.0))
