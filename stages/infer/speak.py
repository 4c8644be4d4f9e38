"""The work of the stage `infer`: sentences through the network, several motions in a batch.

Which sentences share a batch is settled by all that no earlier artifact holds, not by what an interrupted run has left,
so that a resumed run computes every batch as the first would have.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faces.errors import DataError
from models.talking_face import Speech, TalkingFace
from pipeline.errors import StageError
from pipeline.stage import Job
from stages.infer import Params
from stages.infer.styles import Style, styles_of
from stages.kinds import LOG_MEL
from stages.kinds.checkpoint import Checkpoint, check_alike, weights_file
from stages.kinds.features import Features
from stages.kinds.predictions import MOTION, Info, Item, prediction_name, write_index
from stages.kinds.sequences import Sequences
from stages.processor import set_up

Motions = list[NDArray[np.float32]]


class Inputs(NamedTuple):
    """The three artifacts that a prediction is made from."""

    checkpoint: Checkpoint
    data: Sequences
    features: Features


def speak(job: Job, params: Params) -> None:
    """Fill `job.out` with predictions."""
    set_up(job.workers)
    paths = {slot: given.path for slot, given in job.inputs.items()}
    inputs = Inputs(Checkpoint(paths["checkpoint"]), Sequences(paths["data"]), Features(paths["features"]))
    check(inputs)
    names = inputs.data.ids_in(params.splits)
    wanted = {name: _styles(inputs, name, params.conditions) for name in names}
    network = inputs.checkpoint.load_network(job.device, weights=weights_file(params.weights))
    _bound(network, params.context, inputs.checkpoint.config.model)
    folder = job.out / MOTION
    folder.mkdir(exist_ok=True)
    kept = job.taken_over(wanted)
    fresh = {name: styles for name, styles in wanted.items() if name not in kept}
    groups = {name: group for group in batches(inputs, fresh, params.at_once) for name in group}
    ready: dict[str, Motions] = {}

    def make(name: str) -> list[Path]:
        if name not in ready:
            ready.clear()
            torch.manual_seed(zlib.crc32(f"{job.seed}/{groups[name][0]}".encode()))
            ready.update(predict(network, inputs, groups[name], wanted, job.device, params.at_once))
        files = [folder / f"{prediction_name(name, style.name)}.npy" for style in wanted[name]]
        return [_save(file, motion) for file, motion in zip(files, ready.pop(name), strict=True)]

    job.each([*sorted(kept), *groups], make)
    write_index(job.out, _index(inputs, wanted, folder))


def check(inputs: Inputs) -> None:
    """DataError where the network was made for other data or other features."""
    facts, config, encoder = inputs.checkpoint.facts, inputs.checkpoint.config, inputs.features.encoder
    if not facts.encoder:
        raise DataError(
            f"{inputs.checkpoint.path} holds a motion prior ({config.model}), which does not speak: "
            "give the step that trains a talking face, or rebuild motion with reconstruct"
        )
    check_alike(inputs.checkpoint, inputs.data)
    pairs = [
        ("feature channels", facts.channels, encoder.channels),
        ("kind of features", _family(facts.encoder), _family(encoder.name)),
        ("speech encoder's weights", config.encoder_weights, encoder.weights),
    ]
    for what, expected, found in pairs:
        if expected != found:
            raise DataError(
                f"{inputs.checkpoint.path} was trained for another {what}: {expected}, this is {found}; "
                f"make features with {facts.encoder}"
            )


def _family(encoder: str) -> str:
    """What features of an encoder are, whatever its name on this machine; equal weights are checked by digest."""
    return LOG_MEL if encoder == LOG_MEL else "those of a pretrained encoder"


def _styles(inputs: Inputs, name: str, rule: str | Sequence[str]) -> list[Style]:
    subjects = inputs.checkpoint.facts.train_subjects
    return styles_of(rule, inputs.data.entry(name).subject, subjects, inputs.checkpoint.path)


def _bound(network: TalkingFace, context: int, model: str) -> None:
    bound = getattr(network, "bound_context", None)
    if context and bound is None:
        raise StageError(f"context = {context}, and {model!r} looks back on all frames at no cost: leave context out")
    if bound is not None:
        bound(context)


def batches(inputs: Inputs, wanted: Mapping[str, Sequence[Style]], at_once: int) -> list[list[str]]:
    """Sentences of like length together, as many as make `at_once` motions; one that makes more stands alone."""
    lengths = {name: inputs.features.length(name) for name in wanted}
    found: list[list[str]] = []
    room = 0
    for name in sorted(wanted, key=lambda item: (lengths[item], item)):
        if room < len(wanted[name]):
            found.append([])
            room = at_once
        found[-1].append(name)
        room -= len(wanted[name])
    return found


def predict(
    network: TalkingFace,
    inputs: Inputs,
    names: Sequence[str],
    wanted: Mapping[str, Sequence[Style]],
    device: str,
    at_once: int,
) -> dict[str, Motions]:
    """(T, D) float32 per sentence and style. The speech encoder hears a sentence once for every `at_once` styles."""
    speeches = [(name, part) for name in names for part in _speeches(inputs, name, wanted[name], device, at_once)]
    made: dict[str, Motions] = {name: [] for name in names}
    with torch.no_grad():
        # More than one speech of a sentence only where it alone has more styles than go together.
        groups = [speeches] if len(speeches) == len(names) else [[speech] for speech in speeches]
        for group in groups:
            for (name, _), motion in zip(group, _say(network, group), strict=True):
                made[name].extend(motion.float().cpu().numpy())
    for name, motions in made.items():
        if not all(np.isfinite(motion).all() for motion in motions):
            raise StageError(f"the network's motion for {name} is not finite: train it again, with a lower lr")
    return made


def _say(network: TalkingFace, group: Sequence[tuple[str, Speech]]) -> list[Tensor]:
    """What the network refuses, it refuses by the length of a speech: name those that are short."""
    try:
        return network.predict_all([speech for _, speech in group])
    except DataError as error:
        short = [name for name, speech in group if network.frames_for(len(speech.features)) < 2]
        names = ", ".join(short or [name for name, _ in group])
        raise DataError(f"{names}: {error}; leave it out with skip in the preprocess step") from None


def _speeches(inputs: Inputs, name: str, styles: Sequence[Style], device: str, at_once: int) -> list[Speech]:
    features = torch.from_numpy(inputs.features[name].astype(np.float32)).to(device)
    template = torch.from_numpy(inputs.data.template_of(name).reshape(-1)).to(device)
    rows = torch.tensor([style.row(inputs.checkpoint.facts.train_subjects) for style in styles], device=device)
    return [Speech(features, template, part) for part in torch.split(rows, at_once)]


def _save(file: Path, motion: NDArray[np.float32]) -> Path:
    np.save(file, motion)
    return file


def _index(inputs: Inputs, wanted: Mapping[str, Sequence[Style]], folder: Path) -> Info:
    items: dict[str, Item] = {}
    for name, styles in wanted.items():
        entry = inputs.data.entry(name)
        for style in styles:
            made = prediction_name(name, style.name)
            frames = len(np.load(folder / f"{made}.npy", mmap_mode="r"))
            items[made] = Item(name, entry.subject, style.name, entry.split, frames)
    data = inputs.data.info
    return Info(data.fps, data.units, data.dataset, inputs.checkpoint.config.model, items)
