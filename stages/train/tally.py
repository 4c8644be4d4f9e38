"""What the clips of a step, or of a validation, add up to, in one process and over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.quantiser import health
from stages.train.group import Group

CODES = "codes"
"""Among the losses of a motion prior, but none: how often each code was chosen."""
FLAGS = ("short", "bad", "stop", "due")


@dataclass
class Tally:
    """sums: of each loss over clips; clips: how many; codes: how often a motion prior chose each.

    short: a device had not the memory. bad: a loss was no number. stop, due: a process wants to stop, or to save.
    """

    sums: dict[str, float] = field(default_factory=dict)
    clips: int = 0
    codes: list[int] = field(default_factory=list)
    short: bool = False
    bad: bool = False
    stop: bool = False
    due: bool = False

    def means(self) -> dict[str, float]:
        """Mean losses over clips, and how healthy the codebook was over all of them."""
        found = {name: total / self.clips for name, total in self.sums.items()}
        if self.codes:
            found |= {f"codebook_{name}": value for name, value in health(torch.tensor(self.codes)).items()}
        return found

    def add(self, other: Tally) -> None:
        self.sums = {name: self.sums.get(name, 0.0) + value for name, value in other.sums.items()} or self.sums
        self.clips += other.clips
        self.codes = [a + b for a, b in zip(self.codes, other.codes, strict=True)] if self.codes else other.codes


class Adding:
    """Losses of one batch after another, left on their device until they are wanted: looking at one waits for it."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._rows: list[Tensor] = []
        self._counts: list[int] = []
        self._codes: Tensor | None = None

    def add(self, losses: Mapping[str, Tensor], count: int) -> None:
        """A batch's mean losses, and the clips, or styles, that they are the mean of."""
        self._names = [name for name in losses if name != CODES]
        self._rows.append(torch.stack([losses[name].detach().float() for name in self._names]))
        self._counts.append(count)
        if CODES in losses:
            self._codes = losses[CODES] if self._codes is None else self._codes + losses[CODES]

    def values(self, name: str = "loss") -> list[float]:
        """Of one loss, batch by batch."""
        return [row[self._names.index(name)] for row in self._table()]

    def tally(self) -> Tally:
        sums = dict.fromkeys(self._names, 0.0)
        for row, count in zip(self._table(), self._counts, strict=True):
            for name, value in zip(self._names, row, strict=True):
                sums[name] += value * count
        return Tally(sums, sum(self._counts), [] if self._codes is None else self._codes.tolist())

    def _table(self) -> list[list[float]]:
        return torch.stack(self._rows).tolist() if self._rows else []


class Meeting:
    """Adds up the tallies of all processes. Each calls it as often as the others, with losses of the same names."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self._names: list[str] | None = None
        self._codes = 0

    def __call__(self, own: Tally) -> Tally:
        if not self._names:
            self._learn(own)
        names = self._names or []
        flags = [float(getattr(own, name)) for name in FLAGS]
        sums = [own.sums.get(name, 0.0) for name in names]
        codes = own.codes or [0] * self._codes if names else []
        values = torch.tensor([*flags, own.clips, *sums, *codes], dtype=torch.float64)
        return self._read(names, self.group.total(values).tolist())

    def _learn(self, own: Tally) -> None:
        """What losses there are: a process whose share is empty does not know."""
        for names, codes in self.group.gather((list(own.sums), len(own.codes))):
            if names and not self._names:
                self._names, self._codes = names, codes

    def _read(self, names: Sequence[str], values: Sequence[float]) -> Tally:
        flags, (clips, *rest) = values[: len(FLAGS)], values[len(FLAGS) :]
        sums = dict(zip(names, rest, strict=False))
        codes = [round(value) for value in rest[len(names) :]]
        return Tally(sums, round(clips), codes, **{name: flag > 0 for name, flag in zip(FLAGS, flags, strict=True)})
