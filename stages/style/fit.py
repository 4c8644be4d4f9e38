"""A newcomer's entries in a network's tables of style, fitted to clips while everything else stays as it is.

The speech of each clip is heard once. The newcomer begins as the training subject, or as the even mixture of all, whose
style gives the clips the least loss; Adam then moves the newcomer's entries alone. Losses are those that the network
was trained with, in evaluation mode: FaceFormer's on frames of its own, CodeTalker's teacher-forced. The best stays.

Shapes: B clips, K training subjects.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from models.talking_face import Clips, Styled
from pipeline.errors import StageError
from stages.infer.styles import MEAN, Style


class Heard(NamedTuple):
    """A batch whose speech was heard; its share of all clips."""

    lesson: Any
    clips: Clips
    share: float


@dataclass(frozen=True)
class Fitted:
    """start: the style that was begun with. starts: style → its loss. losses: before each step, and after the last.
    best_step: after how many steps the loss was least. entries: how many numbers were fitted."""

    start: str
    starts: dict[str, float]
    losses: list[float]
    best_step: int
    entries: int

    @property
    def loss(self) -> float:
        return self.losses[self.best_step]


def hear(network: Styled, clips: Clips, total: int) -> Heard:
    """A batch of all `total` clips. DataError where the network cannot learn from one."""
    with torch.no_grad():
        return Heard(network.hear(clips), clips, len(clips.features) / total)


@dataclass(frozen=True)
class Descent:
    """lr: of the first step; it falls to nothing along a half cosine. steps: how many."""

    lr: float
    steps: int

    def rate(self, step: int) -> float:
        return self.lr * 0.5 * (1 + math.cos(math.pi * step / self.steps))


def fit(
    network: Styled,
    heard: Sequence[Heard],
    subjects: Sequence[str],
    descent: Descent,
    track: Callable[[range], Iterable[int]] = iter,
) -> Fitted:
    """Adds a subject to the network, in eval mode, and fits its style. subjects: the K names so far.

    track: hands the numbers of the steps on, one at a time. StageError where the loss is no number.
    """
    module = cast("torch.nn.Module", network)
    module.requires_grad_(False)
    starts = _starts(network, heard, subjects)
    start = min(starts, key=lambda name: starts[name])
    tables = network.add_subject(_candidates(subjects)[start])
    module.eval()  # a network may forget here what it keeps of its weights
    newcomer = torch.nn.functional.one_hot(torch.tensor(len(subjects)), len(subjects) + 1).float()
    losses, best = _descend(network, heard, tables, newcomer, descent, track)
    return Fitted(start, starts, losses, best, sum(int(own.sum()) for _, own in tables))


def _candidates(subjects: Sequence[str]) -> dict[str, list[float]]:
    """Style → weights (K,): each training subject's own, and the even mixture where there are several."""
    own = {name: Style(name, {name: 1.0}).row(subjects) for name in subjects}
    return own | ({MEAN: [1 / len(subjects)] * len(subjects)} if len(subjects) > 1 and MEAN not in own else {})


def _starts(network: Styled, heard: Sequence[Heard], subjects: Sequence[str]) -> dict[str, float]:
    with torch.no_grad():
        found = {
            name: sum(_loss(network, batch, torch.tensor(row)).item() for batch in heard)
            for name, row in _candidates(subjects).items()
        }
    if not all(math.isfinite(loss) for loss in found.values()):
        raise StageError("the loss of the clips is not finite: see that the network speaks, and what the clips hold")
    return found


def _loss(network: Styled, batch: Heard, style: Tensor) -> Tensor:
    """A batch's part of the mean over all clips, each in the same style (K,)."""
    rows = style.to(batch.clips.template.device).expand(len(batch.clips.features), -1)
    return network.lesson_losses(batch.lesson, replace(batch.clips, style=rows))["loss"] * batch.share


def _descend(
    network: Styled,
    heard: Sequence[Heard],
    tables: Sequence[tuple[torch.nn.Parameter, Tensor]],
    newcomer: Tensor,
    descent: Descent,
    track: Callable[[range], Iterable[int]],
) -> tuple[list[float], int]:
    """The losses, and after which step the tables, which hold it then, were best."""
    for table, own in tables:
        table.requires_grad_(True)
        table.register_hook(_Only(own))
    optimiser = torch.optim.Adam([table for table, _ in tables], descent.lr)
    losses: list[float] = []
    kept: list[Tensor] = []
    best = 0
    for step in track(range(descent.steps)):
        losses.append(_gradients(network, heard, newcomer, optimiser))
        if not kept or losses[-1] < losses[best]:
            kept, best = [table.detach().clone() for table, _ in tables], step
        for group in optimiser.param_groups:
            group["lr"] = descent.rate(step)
        optimiser.step()
    with torch.no_grad():
        losses.append(sum(_loss(network, batch, newcomer).item() for batch in heard))
        if losses[-1] >= losses[best]:
            for (table, _), values in zip(tables, kept, strict=True):
                table.copy_(values)
        else:
            best = descent.steps
    for table, _ in tables:
        table.requires_grad_(False)
    return losses, best


class _Only:
    """A gradient where the mask says, zero elsewhere: Adam leaves what never had one as it is, to the bit."""

    def __init__(self, own: Tensor) -> None:
        self.own = own

    def __call__(self, gradient: Tensor) -> Tensor:
        return gradient * self.own


def _gradients(network: Styled, heard: Sequence[Heard], newcomer: Tensor, optimiser: torch.optim.Adam) -> float:
    """The loss of all clips, and its gradients. Batches go through the network one by one: memory is bounded."""
    optimiser.zero_grad()
    total = 0.0
    for batch in heard:
        loss = _loss(network, batch, newcomer)
        loss.backward()
        total += loss.item()
    if not math.isfinite(total):
        raise StageError("the fit of the style diverged: lower lr")
    return total
