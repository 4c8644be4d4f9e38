"""The work of the stage `infer`: sentence after sentence through the network, several styles of one in a batch."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from faces.errors import DataError
from models.talking_face import TalkingFace
from pipeline.errors import StageError
from pipeline.stage import Job
from stages.infer import Params
from stages.kinds import LOG_MEL
from stages.kinds.checkpoint import BEST, LAST, Checkpoint
from stages.kinds.features import Features
from stages.kinds.predictions import MOTION, Info, Item, prediction_name, write_index
from stages.kinds.sequences import Sequences


class Inputs(NamedTuple):
    """The three artifacts that a prediction is made from."""

    checkpoint: Checkpoint
    data: Sequences
    features: Features


def speak(job: Job, params: Params) -> None:
    """Fill `job.out` with predictions."""
    torch.set_num_threads(max(1, job.workers))
    paths = {slot: given.path for slot, given in job.inputs.items()}
    inputs = Inputs(Checkpoint(paths["checkpoint"]), Sequences(paths["data"]), Features(paths["features"]))
    check(inputs)
    names = [name for split in params.splits for name in inputs.data.ids(split)]
    if not names:
        raise StageError(f"{inputs.data.path} has no sequence in {', '.join(params.splits)}: choose other splits")
    wanted = {name: conditions(inputs, name, params.conditions) for name in names}
    network = inputs.checkpoint.load_network(job.device, weights=BEST if params.weights == "best" else LAST)
    folder = job.out / MOTION
    folder.mkdir(exist_ok=True)

    def make(name: str) -> list[Path]:
        torch.manual_seed(zlib.crc32(f"{job.seed}/{name}".encode()))
        motions = predict(network, inputs, name, wanted[name], job.device, params.styles_at_once)
        files = [folder / f"{prediction_name(name, condition)}.npy" for condition in wanted[name]]
        return [_save(file, motion) for file, motion in zip(files, motions, strict=True)]

    job.each(names, make)
    write_index(job.out, _index(inputs, wanted, folder))


def check(inputs: Inputs) -> None:
    """DataError where the network was made for other data or other features."""
    facts, config = inputs.checkpoint.facts, inputs.checkpoint.config
    data, encoder = inputs.data, inputs.features.encoder
    where = inputs.checkpoint.path
    pairs = [
        ("vertices", facts.vertices, data.info.vertices, "use a checkpoint of the same topology"),
        ("frames per second", facts.fps, data.fps, "preprocess the data at the checkpoint's rate"),
        ("feature channels", facts.channels, encoder.channels, f"make features with {facts.encoder}"),
        ("kind of features", _family(facts.encoder), _family(encoder.name), f"make features with {facts.encoder}"),
        ("speech encoder's weights", config.encoder_weights, encoder.weights, f"make features with {facts.encoder}"),
    ]
    for what, expected, found, remedy in pairs:
        if expected != found:
            raise DataError(f"{where} was trained for another {what}: {expected}, and this is {found}; {remedy}")


def _family(encoder: str) -> str:
    """What features of an encoder are, whatever its name on this machine; equal weights are checked by digest."""
    return LOG_MEL if encoder == LOG_MEL else "those of a pretrained encoder"


def conditions(inputs: Inputs, name: str, rule: str | Sequence[str]) -> list[str]:
    """The training subjects in whose styles a sequence is spoken."""
    subjects = list(inputs.checkpoint.facts.train_subjects)
    subject = inputs.data.entry(name).subject
    if not isinstance(rule, str):
        return _named(rule, subjects, inputs.checkpoint.path)
    if rule == "all" or (rule == "published" and subject not in subjects):
        return subjects
    if subject not in subjects:
        raise StageError(
            f"conditions = 'own', and {subject}, who speaks {name}, was not trained on: write 'published' or 'all'"
        )
    return [subject]


def _named(wanted: Sequence[str], subjects: Sequence[str], where: Path) -> list[str]:
    unknown = [subject for subject in wanted if subject not in subjects]
    if unknown or not wanted:
        raise StageError(
            f"conditions names {', '.join(unknown) or 'nobody'}; {where} was trained on {', '.join(subjects)}"
        )
    return list(dict.fromkeys(wanted))


def predict(
    network: TalkingFace, inputs: Inputs, name: str, styles: Sequence[str], device: str, at_once: int
) -> list[NDArray[np.float32]]:
    """(T, D) float32 per style. The speech encoder runs once for every `at_once` styles."""
    features = torch.from_numpy(inputs.features[name].astype(np.float32)).to(device)
    template = torch.from_numpy(_template(inputs.data, name)).to(device)
    subjects = list(inputs.checkpoint.facts.train_subjects)
    one_hot = torch.eye(len(subjects))[[subjects.index(style) for style in styles]].to(device)
    motions: list[NDArray[np.float32]] = []
    with torch.no_grad():
        for part in torch.split(one_hot, at_once):
            motions.extend(network.predict(features, template, part).float().cpu().numpy())
    if not all(np.isfinite(motion).all() for motion in motions):
        raise StageError(f"the network's motion for {name} is not finite: train it again, with a lower lr")
    return motions


def _template(data: Sequences, name: str) -> NDArray[np.float32]:
    subject = data.entry(name).subject
    if subject not in data.templates:
        raise DataError(f"{data.path} has no template of {subject}, whom {name} shows: run preprocess again")
    return data.templates[subject].reshape(-1)


def _save(file: Path, motion: NDArray[np.float32]) -> Path:
    np.save(file, motion)
    return file


def _index(inputs: Inputs, wanted: dict[str, list[str]], folder: Path) -> Info:
    items: dict[str, Item] = {}
    for name, styles in wanted.items():
        entry = inputs.data.entry(name)
        for style in styles:
            made = prediction_name(name, style)
            frames = len(np.load(folder / f"{made}.npy", mmap_mode="r"))
            items[made] = Item(name, entry.subject, style, entry.split, frames)
    data = inputs.data.info
    return Info(data.fps, data.units, data.dataset, inputs.checkpoint.config.model, items)
