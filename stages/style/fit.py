"""A newcomer's entries in a network's tables of style, fitted to clips while everything else stays as it is.

The speech of each clip is heard once. The newcomer begins as the training subject, or as the even mixture of all, whose
style gives the clips the least loss; Adam then moves the newcomer's entries alone. Losses are those that the network
was trained with, in evaluation mode: FaceFormer's on frames of its own, CodeTalker's teacher-forced. The best stays.

Shapes: B clips, K training subjects.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
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
class Descent:
    """rates: learning rates, each of which begins anew; one falls to nothing along a half cosine. steps: of each."""

    rates: Sequence[float]
    steps: int

    def rate(self, first: float, step: int) -> float:
        return first * 0.5 * (1 + math.cos(math.pi * step / self.steps))


@dataclass(frozen=True)
class Fitted:
    """start: the style that was begun with. starts: style → its loss. losses: of each rate before every step, and after
    the last. loss: the least of all, rate and step: where it was. entries: how many numbers were fitted."""

    start: str
    starts: dict[str, float]
    losses: list[list[float]]
    loss: float
    rate: float
    step: int
    entries: int


def hear(network: Styled, clips: Clips, total: int) -> Heard:
    """A batch of all `total` clips. DataError where the network cannot learn from one."""
    with torch.no_grad():
        return Heard(network.hear(clips), clips, len(clips.features) / total)


def fit(
    network: Styled,
    heard: Sequence[Heard],
    subjects: Sequence[str],
    descent: Descent,
    track: Callable[[range], Iterable[int]] = iter,
) -> Fitted:
    """Adds a subject to the network, in eval mode, and fits its style. subjects: the K names so far.

    track: hands the numbers of the steps on, one at a time. StageError where no style gives a loss that is a number.
    """
    module = cast("torch.nn.Module", network)
    module.requires_grad_(False)
    starts = _starts(network, heard, subjects)
    start = min(starts, key=lambda name: starts[name])
    tables = network.add_subject(_candidates(subjects)[start])
    module.eval()  # a network may forget here what it keeps of its weights
    newcomer = torch.nn.functional.one_hot(torch.tensor(len(subjects)), len(subjects) + 1).float()
    search = _Search(network, heard, tables, newcomer)
    numbers = iter(track(range(len(descent.rates) * descent.steps)))
    losses = [search.descend(rate, descent, numbers) for rate in descent.rates]
    search.end()
    loss, rate, step = search.best
    return Fitted(start, starts, losses, loss, rate, step, sum(int(own.sum()) for _, own in tables))


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


class _Search:
    """The newcomer's entries on their way, and the best that they have been."""

    def __init__(
        self,
        network: Styled,
        heard: Sequence[Heard],
        tables: Sequence[tuple[torch.nn.Parameter, Tensor]],
        newcomer: Tensor,
    ) -> None:
        self.network, self.heard, self.newcomer = network, heard, newcomer
        self.tables = [table for table, _ in tables]
        self.start = self.kept = self._copies()
        self.best = (math.inf, 0.0, 0)
        for table, own in tables:
            table.requires_grad_(True)
            table.register_hook(_Only(own))

    def descend(self, rate: float, descent: Descent, numbers: Iterator[int]) -> list[float]:
        """From the start at a learning rate: the losses before every step and after the last, up to one that is no
        number. numbers: as many are taken as steps are made."""
        self._set(self.start)
        optimiser = torch.optim.Adam(self.tables, rate)
        losses: list[float] = []
        for step in range(descent.steps):
            next(numbers)
            optimiser.zero_grad()
            losses.append(self._gradients())
            if not math.isfinite(losses[-1]):
                return losses[:-1]
            self._judge(losses[-1], rate, step)
            for group in optimiser.param_groups:
                group["lr"] = descent.rate(rate, step)
            optimiser.step()
        with torch.no_grad():
            last = sum(_loss(self.network, batch, self.newcomer).item() for batch in self.heard)
        self._judge(last, rate, descent.steps)
        return [*losses, last] if math.isfinite(last) else losses

    def end(self) -> None:
        """The network keeps the best."""
        self._set(self.kept)
        for table in self.tables:
            table.requires_grad_(False)

    def _judge(self, loss: float, rate: float, step: int) -> None:
        if loss < self.best[0]:
            self.kept, self.best = self._copies(), (loss, rate, step)

    def _gradients(self) -> float:
        """The loss of all clips. Batches go through the network one by one, so that memory is bounded."""
        total = 0.0
        for batch in self.heard:
            loss = _loss(self.network, batch, self.newcomer)
            loss.backward()
            total += loss.item()
        return total

    def _copies(self) -> list[Tensor]:
        return [table.detach().clone() for table in self.tables]

    def _set(self, values: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for table, value in zip(self.tables, values, strict=True):
                table.copy_(value)


class _Only:
    """A gradient where the mask says, zero elsewhere: Adam leaves what never had one as it is, to the bit."""

    def __init__(self, own: Tensor) -> None:
        self.own = own

    def __call__(self, gradient: Tensor) -> Tensor:
        return gradient * self.own
