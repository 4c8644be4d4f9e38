"""The work of the stage `reconstruct`: one sequence's codes after the other through the prior's decoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from pipeline.stage import Job
from stages.kinds.checkpoint import Checkpoint, check_prior, weights_file
from stages.kinds.codes import Codes
from stages.kinds.predictions import MOTION, Info, Item, prediction_name, write_index
from stages.kinds.sequences import Sequences
from stages.processor import set_up
from stages.reconstruct import Params


def rebuild(job: Job, params: Params) -> None:
    """Fill `job.out` with predictions."""
    set_up(job.workers)
    checkpoint, codes = Checkpoint(job.inputs["prior"].path), Codes(job.inputs["codes"].path)
    data = Sequences(job.inputs["data"].path)
    check_prior(checkpoint, data)
    weights = weights_file(params.weights)
    codes.check_prior(checkpoint.path / weights)
    names = data.ids_in(params.splits)
    prior = checkpoint.load_prior(job.device, weights=weights)
    folder = job.out / MOTION
    folder.mkdir(exist_ok=True)

    @torch.no_grad()
    def make(name: str) -> list[Path]:
        subject = data.entry(name).subject
        template = torch.from_numpy(data.template_of(name).reshape(-1)).to(job.device)
        given = torch.from_numpy(codes[name].astype(np.int64)).to(job.device)
        file = folder / f"{prediction_name(name, subject)}.npy"
        np.save(file, prior.decode(given, template).float().cpu().numpy())
        return [file]

    job.each(names, make)
    items = {prediction_name(name, data.entry(name).subject): _item(data, codes, name) for name in names}
    write_index(job.out, Info(data.fps, data.units, data.info.dataset, checkpoint.config.model, items))


def _item(data: Sequences, codes: Codes, name: str) -> Item:
    entry = data.entry(name)
    return Item(name, entry.subject, entry.subject, entry.split, codes.info.frames[name])
