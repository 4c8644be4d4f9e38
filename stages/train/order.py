"""The order in which a run sees its clips, as a function of seed and epoch alone: a resumed run repeats and skips none.

"bucketed" puts clips of like length into one batch, so that little is padded: the shuffled clips are cut into windows
of a few batches, and each window is sorted by length. Sorting all of them would give the same batches every epoch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from stages.train import Params
from stages.train.clips import Take

T = TypeVar("T")

WINDOW = 8
"""Batches that are sorted together, at most; and no more than a quarter of an epoch's, so that batches stay mixed."""


class Piece(NamedTuple):
    """Takes that go through the network together, and the weight of their mean loss in the step's gradient."""

    takes: Sequence[Take]
    weight: float


class Work(NamedTuple):
    """One step of the optimiser: its batches of takes.

    epoch: the one it belongs to. last: it ends the epoch. summed: gradients of batches are added up, not averaged over
    all clips. moves: the optimiser takes a step; not with what "released" throws away at the end of an epoch.
    """

    batches: Sequence[Sequence[Take]]
    epoch: int = 0
    last: bool = False
    summed: bool = False
    moves: bool = True

    def pieces(self, rank: int = 0, size: int = 1, most: int = 0) -> Iterator[Piece]:
        """The share of process `rank` among `size`, in pieces of at most `most` clips; 0: whole batches.

        Every clip weighs the same in its batch, whoever computes it, so the processes' gradients sum to one process's.
        """
        clips = sum(len(batch) for batch in self.batches)
        for batch in self.batches:
            share, of = batch[rank::size], len(batch) if self.summed else clips
            for takes in chunks(share, most or len(batch)):
                yield Piece(takes, len(takes) / of)

    def largest(self, size: int) -> int:
        """The most clips of one batch that any of `size` processes has."""
        return max(math.ceil(len(batch) / size) for batch in self.batches)


class Order:
    """An epoch's work, whatever the epoch. lengths: of each take, in frames. steps: of the optimiser in an epoch."""

    def __init__(self, takes: Sequence[Take], lengths: Sequence[int], options: Params, seed: int) -> None:
        self.takes = takes
        self.lengths = np.asarray(lengths)
        self.options = options
        self.seed = seed
        self.steps = sum(work.moves for work in self.epoch(0))

    def epoch(self, epoch: int) -> list[Work]:
        """Nothing is dropped: the last work may have fewer batches, and one batch fewer clips."""
        summed = self.options.accumulation == "released"
        groups = (_released if summed else chunks)(self.batches(epoch), self.options.accumulate)
        works = [Work(group, epoch, last=i == len(groups) - 1, summed=summed) for i, group in enumerate(groups)]
        if summed and len(works) > 1 and len(groups[-1]) < self.options.accumulate:
            works[-1] = works[-1]._replace(moves=False)
        return works

    def after(self, epoch: int, position: int) -> Iterator[Work]:
        """All work from a place in an epoch to the end of the run."""
        for later in range(epoch, self.options.epochs):
            yield from self.epoch(later)[position if later == epoch else 0 :]

    def batches(self, epoch: int) -> list[list[Take]]:
        size, count = self.options.batch_size, len(self.takes)
        if self.options.order == "listed":
            return chunks(list(self.takes), size)
        draw = np.random.default_rng([self.seed, epoch])
        order = draw.permutation(count)
        if self.options.order == "bucketed" and size > 1:
            order = self._bucketed(order, draw)
        return [[self.takes[i] for i in batch] for batch in chunks(order.tolist(), size)]

    def _bucketed(self, order: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Shuffled indices → the same, batch after batch of like length.

        What fills no batch stays as drawn, at the end: were it what is left of a sorted window, the longest clips would
        always share the smallest batch.
        """
        size = self.options.batch_size
        full = len(order) // size
        window = size * min(WINDOW, max(2, full // 4))
        whole, rest = order[: full * size], order[full * size :]
        parts = [whole[start : start + window] for start in range(0, len(whole), window)]
        ordered = [part[np.argsort(self.lengths[part], kind="stable")] for part in parts]
        batches = np.concatenate([*ordered, whole[:0]]).reshape(full, size)
        return np.concatenate([batches[draw.permutation(full)].ravel(), rest])


def _released(batches: Sequence[T], size: int) -> list[list[T]]:
    """The published rule, a step whenever i % n == 0: the first batch of an epoch steps alone."""
    return [list(batches[:1]), *chunks(batches[1:], size)]


def chunks(things: Sequence[T], size: int) -> list[list[T]]:
    return [list(things[start : start + size]) for start in range(0, len(things), size)]
