"""The work of the stage `drive`: one motion after the other, vertices of a template following rows of codes."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faces.errors import DataError
from faces.implicit.weight import FacialWeight
from faces.normals import vertex_normals
from models.nphm.astray import neighbours
from models.nphm.following import Pace, follow
from models.nphm.head import BACKWARD
from pipeline.stage import Job
from stages.drive import Params
from stages.kinds.expressions import Expressions
from stages.kinds.head import Head
from stages.kinds.identities import read_identity
from stages.kinds.predictions import MOTION, Predictions, write_index
from stages.kinds.sequences import Sequences
from stages.processor import set_up

LEAST = 0.01
"""Vertices that count less than this stay where they are."""


def drive(job: Job, params: Params) -> None:
    """Fill `job.out` with predictions of vertices."""
    set_up(job.workers)
    data, head = Sequences(job.inputs["data"].path), Head(job.inputs["head"].path)
    if head.info.moves != BACKWARD:
        raise DataError(
            f"{head.path} moves points {head.info.moves}, and faces are driven by a head that moves them back"
        )
    made = Predictions(job.inputs["predictions"].path) if "predictions" in job.inputs else None
    codes = Expressions(head, data, made, params.splits)
    codes.check_identities()
    driver = Driver(params, data, codes.head, job.device)
    folder = job.out / MOTION
    folder.mkdir(exist_ok=True)
    lost: dict[str, float] = {}

    def make(name: str) -> list[Path]:
        motion, apart = driver.motion(codes.items[name].subject, codes[name])
        lost[name] = apart
        file = folder / f"{name}.npy"
        np.save(file, motion.reshape(len(motion), -1))
        return [file]

    job.each(sorted(codes.items), make)
    write_index(job.out, codes.info)
    if lost:
        worst = max(lost, key=lambda name: lost[name])
        job.say(
            f"vertices are {np.mean(list(lost.values())):.3f} mm from where the model has them at rest, on average; "
            f"most in {worst}, {lost[worst]:.3f} mm"
        )


class Driver:
    """What the vertices of a data set's templates follow codes with."""

    def __init__(self, params: Params, data: Sequences, head: Head, device: str) -> None:
        self.params, self.data, self.head, self.device = params, data, head, device
        self.model, self.size = head.model(device), head.tables.identities.shape[1]
        self.rest = lru_cache(maxsize=4)(self._rest)

    def motion(self, subject: str, codes: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
        """(T, V, 3) in the data's units, and how far vertices are from where they belong at rest, in millimetres.

        What the identity code misses of the template stands still in all frames: only the way from rest is taken over.
        """
        template, identity, inner, normals, weight = self.rest(subject)
        chosen = np.flatnonzero(weight > LEAST)
        rest = torch.zeros(1, codes.shape[1], device=self.device)
        given = torch.cat((rest, torch.from_numpy(np.array(codes)).to(self.device)))
        around = neighbours(self.data.faces, len(template), chosen).to(self.device)
        found = follow(self.model, identity, inner[chosen], given, Pace(step=self.params.step), around)
        outward = _turned(found.turns, normals[chosen])
        depth = self.params.depth / self.head.millimetres
        places = found.places + depth * outward
        moved = np.zeros((len(codes), *template.shape), np.float32)
        moved[:, chosen] = weight[chosen, None] * (places[1:] - places[:1]).cpu().numpy()
        apart = float(found.apart[1:].mean()) * self.head.millimetres
        motion = self.data.template_for(subject, subject) + moved / np.float32(self.head.info.scale)
        return motion.astype(np.float32), apart

    def _rest(self, subject: str) -> tuple[NDArray[np.float32], Tensor, Tensor, Tensor, NDArray[np.float32]]:
        """Template (V, 3) in the model's space, identity code (1, D), points below its vertices (V, 3), normals, and
        how much of a motion counts at each vertex (V,)."""
        template = self.head.into(self.data.template_for(subject, subject))
        code = read_identity(self.data.path, subject, self.size)
        normals = torch.from_numpy(vertex_normals(template, self.data.faces)).to(self.device)
        inner = torch.from_numpy(template).to(self.device) - self.params.depth / self.head.millimetres * normals
        identity = torch.from_numpy(np.array(code))[None].to(self.device)
        return template, identity, inner, normals, self._weight(template)

    def _weight(self, template: NDArray[np.float32]) -> NDArray[np.float32]:
        if not self.params.sigma:
            return np.ones(len(template), np.float32)
        radius, sigma = self.params.radius, self.params.sigma
        lips = self.data.region("lips")
        if lips is None:
            return FacialWeight(radius=radius, sigma=sigma)(template)
        x, y, z = template[lips].mean(axis=0).tolist()
        return FacialWeight((x, y, z), radius, sigma)(template)


def _turned(turns: Tensor, normals: Tensor) -> Tensor:
    """Normals (N, 3) of the head at rest, in every frame (T, N, 3). turns: (T, N, 3, 3), of the way back."""
    outward = (turns.mT @ normals[..., None])[..., 0]
    return outward / outward.norm(dim=-1, keepdim=True).clamp(min=1e-9)
