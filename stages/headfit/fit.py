"""The work of the stage `headfit`: frames, points about them, and the joint fit of weights and codes."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from faces.skin import Skin
from models.nphm.anchoring import anchor_vertices
from models.nphm.head import BACKWARD, HeadModel
from models.nphm.lessons import Lesson, Marks, Weights, begin, loss
from pipeline.errors import Interrupted
from pipeline.stage import Job, replacing
from stages.headfit import Params
from stages.headfit.frames import choose
from stages.headfit.interest import interest
from stages.headfit.lectures import about, drawn, joined, poses
from stages.headfit.picture import draw
from stages.kinds.head import METRES, Info, Tables, fitting, write_head
from stages.kinds.sequences import Sequences
from stages.processor import set_up

HISTORY = "history.jsonl"
WARM_UP, LAST = 50, 0.02
"""Steps in which the rate rises, and what is left of it in the end."""
TOLD_EVERY = 100
"""Steps between lines of the history, of which each is a mean."""


def fit(job: Job, params: Params) -> None:
    """Fill `job.out` with a head model."""
    set_up(job.workers)
    data = Sequences(job.inputs["data"].path)
    scale, shift = fitting(data.units, data.info.up, data.path)
    mean = np.mean([data.templates[subject] for subject in data.train_subjects], axis=0) * scale + np.asarray(shift)
    wanted = interest(data, mean)
    skin = Skin.of(mean, data.faces, wanted)
    frames = choose(data, wanted, params.frames, params.expression, job.seed)
    heads, posed = poses(data, frames, scale, shift, params.blends, job.seed)
    numbered = list(enumerate(posed))
    lessons = joined(
        about(skin, pose, params.points, params.spread, [job.seed, 3, number])
        for number, pose in job.track(numbered, unit="frames")
    )
    allowed = np.zeros(len(mean), bool)
    allowed[np.unique(skin.faces[skin.outer & ~skin.cut])] = True
    chosen = anchor_vertices(mean, allowed, np.sqrt(wanted), params.pairs, params.anchors - 2 * params.pairs)
    codes, anchors = np.stack([pose.code for pose in posed]), np.stack([head[chosen] for head in heads])
    school = School(
        params, job.seed, job.device, lessons, [pose.head for pose in posed], codes, anchors, mean[chosen]
    )  # fmt: skip
    school.teach(job)
    info = Info(
        "mono", BACKWARD, asdict(params.identity_sizes), asdict(params.deformation_sizes), data.info.dataset,
        data.units, data.info.up, scale, shift,
        {subject: data.template_digests[subject] for subject in data.train_subjects}, data.info.vertices,
    )  # fmt: skip
    tables = school.tables(len(data.train_subjects), chosen)
    write_head(job.out, info, tables, school.model)
    (job.out / HISTORY).write_text("".join(json.dumps(line) + "\n" for line in school.history), encoding="utf-8")
    unit = 1e3 * METRES[data.units] / scale
    last = school.history[-1]
    job.say(
        f"{len(posed)} poses of {len(heads)} heads: distances are {unit * last['distance']:.2f} mm wrong, places at "
        f"rest {unit * last['follow']:.2f} mm"
    )
    draw(job.out, data, school, posed[: 1 + len(frames)], len(data.train_subjects))


class School:
    """A model, its codes, and what they learn from. heads: the head of each pose. codes: (poses, E) they begin with.
    anchors: (heads, K, 3). mean: (K, 3)."""

    def __init__(
        self, params: Params, seed: int, device: str, lessons: Lesson, heads: list[int], codes: np.ndarray,
        anchors: np.ndarray, mean: np.ndarray,
    ) -> None:  # fmt: skip
        self.params, self.seed = params, seed
        generator = torch.Generator().manual_seed(seed)
        self.model = HeadModel.build(params.identity_sizes, params.deformation_sizes)
        begin(self.model, torch.from_numpy(mean).float(), generator)
        self.model.to(device)
        self.lessons = Lesson(*(part.to(device) for part in lessons))
        self.heads = torch.tensor(heads, device=device)
        self.anchors = torch.from_numpy(anchors).float().to(device)
        start = 0.01 * torch.randn(len(anchors), params.identity_sizes.identity, generator=generator)
        self.identities = nn.Parameter(start.to(device))
        self.expressions = nn.Parameter(torch.from_numpy(codes).float().to(device))
        self.moves = (self.expressions.detach() != 0).any(1, keepdim=True).float()
        """0 of heads at rest, whose code is zero and stays so."""
        groups = ([*self.model.parameters()], [self.identities], [self.expressions])
        self.rates = (1.0, 2.0, 0.5)
        self.optimiser = torch.optim.Adam([{"params": group, "lr": params.lr} for group in groups])
        self.weights = Weights(follow=params.follow)
        self.history: list[dict[str, Any]] = []

    def teach(self, job: Job) -> None:
        """All steps that an earlier attempt has not made."""
        state = job.state / "fit.pt"
        first = self.resume(state) if state.is_file() else 0
        since: list[Marks] = []
        for step in job.track(range(first, self.params.steps), total=self.params.steps - first, unit="steps"):
            since.append(self.step(step))
            if (step + 1) % TOLD_EVERY == 0 or step + 1 == self.params.steps:
                means = [float(np.mean(part)) for part in zip(*since, strict=True)]
                self.history.append({"step": step + 1, "distance": means[0], "follow": means[1]})
                since = []
                if (step + 1) % self.params.save_every < TOLD_EVERY:
                    self.save(state, step + 1)
                if job.stopping():
                    self.save(state, step + 1)
                    raise Interrupted(f"stopped by the user after {step + 1} steps; run again to go on")

    def step(self, step: int) -> Marks:
        """One step, whose chance is its own, so that a resumed fit is the same fit."""
        params, generator = self.params, torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        share = LAST + (1 - LAST) * 0.5 * (1 + math.cos(math.pi * step / params.steps))
        share *= min(1.0, (step + 1) / WARM_UP)
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = params.lr * rate * share
        rows = torch.randint(len(self.heads), (params.heads,), generator=generator).to(self.heads.device)
        lesson = drawn(self.lessons, rows, params.drawn, generator)
        heads = self.heads[rows]
        total, marks = loss(
            self.model, lesson, self.identities[heads], self.codes(rows), self.anchors[heads], self.weights
        )
        self.optimiser.zero_grad()
        total.backward()
        self.optimiser.step()
        return marks

    def codes(self, rows: Tensor) -> Tensor:
        """(B, E)"""
        return self.expressions[rows] * self.moves[rows]

    def tables(self, subjects: int, vertices: np.ndarray) -> Tables:
        """Blends are left out: nobody speaks with their heads."""
        with torch.no_grad():
            own = self.identities[:subjects].cpu().numpy()
            of_subjects = self.heads < subjects
            codes = self.codes(torch.arange(len(self.heads), device=self.heads.device))[of_subjects].cpu().numpy()
            anchors = self.model.identity.mean_anchors.cpu().numpy()
        return Tables(anchors, own, own.mean(0), own.std(0), codes.mean(0), codes.std(0), vertices.astype(np.int64))

    def save(self, file: Path, step: int) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": step,
            "identities": self.identities.data,
            "expressions": self.expressions.data,
            "history": self.history,
        }
        with replacing(file) as partial:
            torch.save(state, partial)

    def resume(self, file: Path) -> int:
        """The step to go on with."""
        state = torch.load(file, weights_only=True, map_location=self.heads.device)
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.identities.data.copy_(state["identities"])
        self.expressions.data.copy_(state["expressions"])
        self.history = state["history"]
        return int(state["step"])
