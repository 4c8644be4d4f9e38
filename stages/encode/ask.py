"""The work of the stage `encode`: one sequence after the other through the prior's encoder and quantiser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from faces.errors import DataError
from models.motion_prior import MotionPrior
from models.quantiser import health
from pipeline.errors import StageError
from pipeline.stage import Job
from stages.encode import Params
from stages.kinds.checkpoint import Checkpoint, check_prior, weights_file
from stages.kinds.codes import FOLDER, Info, weights_digest, write_index
from stages.kinds.features import Features
from stages.kinds.sequences import Sequences
from stages.processor import set_up


def encode(job: Job, params: Params) -> None:
    """Fill `job.out` with codes of every sequence that is in a split."""
    set_up(job.workers)
    checkpoint, data = Checkpoint(job.inputs["prior"].path), Sequences(job.inputs["data"].path)
    check_prior(checkpoint, data)
    names = [name for name in data.ids() if data.entry(name).split]
    if not names:
        raise StageError(f"{data.path} has no sequence in any split: there is nothing to encode")
    frames = _frames(job, data, names)
    weights = weights_file(params.weights)
    prior = checkpoint.load_prior(job.device, weights=weights)
    folder = job.out / FOLDER
    folder.mkdir(exist_ok=True)

    def make(name: str) -> list[Path]:
        file = folder / f"{name}.npy"
        np.save(file, codes_of(prior, data, name, frames[name], job.device))
        return [file]

    job.each(names, make)
    counts = sum(np.bincount(np.load(folder / f"{name}.npy").ravel(), minlength=prior.codes) for name in names)
    healthy = health(torch.as_tensor(counts))
    digest = weights_digest(checkpoint.path / weights)
    write_index(job.out, Info(checkpoint.config.model, digest, prior.tokens, prior.codes, frames, **healthy))
    job.say(f"{len(names)} sequences: {100 * healthy['usage']:.0f} % of {prior.codes} codes in use")


def _frames(job: Job, data: Sequences, names: list[str]) -> dict[str, int]:
    """How many frames of each sequence to encode: all, or those that its speech covers."""
    frames = {name: data.entry(name).frames for name in names}
    if "features" in job.inputs:
        features = Features(job.inputs["features"].path)
        frames = {name: min(count, features.length(name) // 2) for name, count in frames.items()}
    short = [name for name, count in frames.items() if count < 2]
    if short:
        raise DataError(
            f"{data.path}: {', '.join(short)} has fewer than the two frames that codes need; leave it out with "
            f'skip = ["{short[0]}"] in the preprocess step'
        )
    return frames


@torch.no_grad()
def codes_of(prior: MotionPrior, data: Sequences, name: str, frames: int, device: str) -> np.ndarray:
    """(T, Q) int16"""
    vertices = torch.from_numpy(data.vertices(name)[:frames].reshape(frames, -1).copy()).to(device)
    template = torch.from_numpy(data.template_of(name).reshape(-1)).to(device)
    codes: np.ndarray = prior.encode(vertices, template).to("cpu", torch.int16).numpy()
    return codes
