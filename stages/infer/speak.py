"""The work of the stage `infer`: sentences through the network, several motions in a batch, long ones block by block;
then, where the network reads lips, what each motion says.

Which sentences share a batch is settled by all that no earlier artifact holds, not by what an interrupted run has left,
so that a resumed run computes every batch as the first would have.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from models.talking_face import TalkingFace
from pipeline.errors import StageError
from pipeline.stage import Job
from stages.infer import Params
from stages.infer.lips import lip_reader
from stages.infer.manners import Manner, manners_of
from stages.infer.pace import Pace
from stages.infer.styles import styles_of
from stages.infer.work import Inputs, Motions, Work
from stages.kinds import LOG_MEL
from stages.kinds.checkpoint import (
    Checkpoint,
    check_alike,
    draws_motion,
    makes_motion,
    speaks_in_styles,
    weights_file,
)
from stages.kinds.features import Features
from stages.kinds.predictions import MOTION, TEXT, Info, Item, write_index
from stages.kinds.sequences import Sequences
from stages.processor import set_up


def speak(job: Job, params: Params) -> None:
    """Fill `job.out` with predictions."""
    set_up(job.workers)
    paths = {slot: given.path for slot, given in job.inputs.items()}
    inputs = Inputs(Checkpoint(paths["checkpoint"]), Sequences(paths["data"]), Features(paths["features"]))
    pace = Pace(inputs.data.fps)
    check(inputs)
    names = inputs.data.ids_in(params.splits)
    for name in names:
        if inputs.data.has_motion(name):
            inputs.features.check_frames(name, inputs.data.entry(name).frames)
    drawn = draws_motion(inputs.checkpoint.config.model)
    numbers = range(job.seed, job.seed + params.samples) if drawn else ()
    wanted = {name: _manners(inputs, name, params.conditions, numbers) for name in names}
    network = inputs.checkpoint.load_network(job.device, weights=weights_file(params.weights))
    if drawn:
        network.sample_with(params.sampling)  # type: ignore[attr-defined]
    _bound(network, params, inputs.checkpoint.config.model)
    (job.out / MOTION).mkdir(exist_ok=True)
    lips = lip_reader(network, inputs.data, inputs.features, job.device) if params.read_lips else None
    if lips:
        (job.out / TEXT).mkdir(exist_ok=True)
    kept = job.taken_over(wanted)
    fresh = {name: manners for name, manners in wanted.items() if name not in kept}
    work = Work(job, network, inputs, wanted, params.at_once, pace)
    long = {name for name in wanted if work.is_long(name)}
    groups = {name: group for group in batches(inputs, fresh, params.at_once, long) for name in group}
    ready: dict[str, Motions] = {}

    def make(name: str) -> list[Path]:
        files = speak_one(name)
        return files if lips is None else [*files, *lips.write(job.out, name, files)]

    def speak_one(name: str) -> list[Path]:
        if name in long:
            return work.write(name)
        if name not in ready:
            ready.clear()
            ready.update(work.predict(groups.get(name, [name])))  # alone, where what was to be taken over has gone
        return [_save(file, motion) for file, motion in zip(work.files(name), ready.pop(name), strict=True)]

    job.each([*sorted(kept), *groups], make)
    pace.tell(job)
    write_index(job.out, _index(inputs, wanted, job.out / MOTION))


def check(inputs: Inputs) -> None:
    """DataError where the network was made for other data or other features."""
    facts, config, features = inputs.checkpoint.facts, inputs.checkpoint.config, inputs.features
    encoder = features.encoder
    if not facts.encoder:
        raise DataError(
            f"{inputs.checkpoint.path} holds a motion prior ({config.model}), which does not speak: "
            "give the step that trains a talking face, or rebuild motion with reconstruct"
        )
    if not makes_motion(config.model):
        raise DataError(
            f"{inputs.checkpoint.path} holds a recogniser ({config.model}), which does not speak: "
            "give the step that trains a talking face"
        )
    check_alike(inputs.checkpoint, inputs.data)
    pairs = [
        ("feature channels", facts.channels, encoder.channels),
        ("kind of features", _family(facts.encoder, facts.framewise), _family(encoder.name, features.framewise)),
    ]
    # A track does not tell what made it, where nobody said; all others do.
    if not facts.framewise or (config.encoder_weights and encoder.weights):
        pairs.append(("speech encoder's weights", config.encoder_weights, encoder.weights))
    for what, expected, found in pairs:
        if expected != found:
            raise DataError(
                f"{inputs.checkpoint.path} was trained for another {what}: {expected}, this is {found}; "
                f"make features with {facts.encoder}{', one a frame' if facts.framewise else ''}"
            )


def _family(encoder: str, framewise: bool) -> str:
    """What features of an encoder are, whatever its name on this machine; equal weights are checked by digest."""
    if framewise:
        return "what a frozen encoder says of each frame"
    return LOG_MEL if encoder == LOG_MEL else "those of a pretrained encoder"


def _manners(inputs: Inputs, name: str, rule: str | Sequence[str], numbers: Sequence[int]) -> list[Manner]:
    checkpoint = inputs.checkpoint
    subject, subjects = inputs.data.entry(name).subject, checkpoint.facts.train_subjects
    styled = speaks_in_styles(checkpoint.config.model)
    return manners_of(styles_of(rule, subject, subjects, checkpoint.path, styled=styled), numbers)


def _bound(network: TalkingFace, params: Params, model: str) -> None:
    bounds = {
        "context": (params.context, "bound_context", "looks back on all frames at no cost"),
        "window": (params.window, "bound_hearing", "does not hear speech in windows"),
    }
    for name, (value, method, reason) in bounds.items():
        bound = getattr(network, method, None)
        if value and bound is None:
            raise StageError(f"{name} = {value:g}, and {model!r} {reason}: leave {name} out")
        if bound is not None:
            bound(value)


def batches(
    inputs: Inputs, wanted: Mapping[str, Sequence[Manner]], at_once: int, alone: Container[str] = ()
) -> list[list[str]]:
    """Sentences of like length together, as many as make `at_once` motions; one that makes more, or is to be
    alone, stands alone."""
    lengths = {name: inputs.features.length(name) for name in wanted}
    found: list[list[str]] = []
    room = 0
    for name in sorted(wanted, key=lambda item: (lengths[item], item)):
        if room < len(wanted[name]) or name in alone:
            found.append([])
            room = at_once
        found[-1].append(name)
        room -= len(wanted[name])
    return found


def _save(file: Path, motion: NDArray[np.float32]) -> Path:
    np.save(file, motion)
    return file


def _index(inputs: Inputs, wanted: Mapping[str, Sequence[Manner]], folder: Path) -> Info:
    items: dict[str, Item] = {}
    for name, manners in wanted.items():
        entry = inputs.data.entry(name)
        for manner in manners:
            made = manner.file_of(name)
            frames = len(np.load(folder / f"{made}.npy", mmap_mode="r"))
            items[made] = Item(name, entry.subject, manner.style.name, entry.split, frames, manner.number)
    data = inputs.data.info
    config, track = inputs.checkpoint.config, inputs.checkpoint.facts.track
    styled = speaks_in_styles(config.model)
    return Info(data.fps, data.units, data.dataset, config.model, items, styled, track, config.head)
