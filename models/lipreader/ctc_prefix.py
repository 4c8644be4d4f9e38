"""How likely texts that begin in a certain way are to CTC: the prefix scores of hybrid decoding (Watanabe et al., IEEE
JSTSP 2017, section III-C; Graves et al., ICML 2006).

All in logarithms and float64. Frame by frame as published, a new piece's probability is a sum over the frame where it
begins, and its state a running sum of what came before over what its frames add; so neither needs a loop over time.
Shapes: T frames, V classes, N hypotheses, K pieces.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

NEVER = -1e10
"""Logarithm of the probability of what cannot be; the published one, which is finite."""
MOST = 1 << 22
"""Numbers that are held at once while pieces are scored."""


class State(NamedTuple):
    """Of each hypothesis: r^n and r^b, (T, N), log-probabilities that frames up to t spell it and end in its last piece
    or in a blank; and `score` (N,), that of all texts that begin with it. pieces: how many it has."""

    label: Tensor
    blank: Tensor
    score: Tensor
    pieces: int

    def keep(self, hypotheses: Tensor) -> State:
        return State(self.label[:, hypotheses], self.blank[:, hypotheses], self.score[hypotheses], self.pieces)


class PrefixScores:
    """Of one clip. logits: (T, V), the blank is class 0. end: the class that ends a text."""

    def __init__(self, logits: Tensor, end: int) -> None:
        self.frames = logits.double().log_softmax(-1)
        self.sums = self.frames.cumsum(0)
        self.end = end

    def begin(self) -> State:
        """The empty text, one hypothesis."""
        blank = self.sums[:, :1]
        return State(torch.full_like(blank, NEVER), blank, blank.new_zeros(1), 0)

    def scores(self, state: State, last: Tensor, pieces: Tensor) -> Tensor:
        """log ψ of each hypothesis with one of its K pieces (N, K) int64 behind it, (N, K).

        last: (N,) the last piece of each, any before the first.
        """
        start = max(state.pieces, 1)
        before = torch.logaddexp(state.label, state.blank)  # (T, N)
        step = max(1, MOST // max(1, before.numel()))
        found = [self._begun(before, pieces[:, i : i + step], start) for i in range(0, pieces.shape[1], step)]
        begun = torch.cat(found, dim=1)
        # A piece twice needs a blank between.
        alone = self._begun(state.blank, last[:, None], start)
        begun = torch.where(pieces == last[:, None], alone, begun) if state.pieces else self._first(begun, pieces)
        begun = begun.where(pieces != self.end, before[-1][:, None])
        return begun.masked_fill(pieces == 0, NEVER)

    def _begun(self, before: Tensor, pieces: Tensor, start: int) -> Tensor:
        """Sum over frames t ≥ start of what `before` (T, N) has at t − 1 and the piece at t, (N, K)."""
        emitted = self.frames[start:, pieces]  # (T − start, N, K)
        ways = before[start - 1 : -1, :, None] + emitted
        return ways.logsumexp(0) if len(ways) else before.new_full(pieces.shape, NEVER)

    def _first(self, begun: Tensor, pieces: Tensor) -> Tensor:
        """A text may also begin in the very first frame."""
        return torch.logaddexp(begun, self.frames[0, pieces])

    def extend(self, state: State, last: Tensor, piece: Tensor, score: Tensor) -> State:
        """Each hypothesis with one piece (N,) behind it, whose log ψ is `score` (N,)."""
        start = max(state.pieces, 1)
        before = torch.logaddexp(state.label, state.blank)
        if state.pieces:
            before = torch.where(piece == last, state.blank, before)
        label = torch.full_like(before, NEVER)
        if state.pieces == 0:
            label[0] = self.frames[0, piece]
        # r^n_t = x_t + log(r^n_(t−1) + before_(t−1)): without the sum of x up to t, a running sum.
        own, blank = self.sums[:, piece], self.sums[:, :1]
        label[start - 1 :] = _running(label[start - 1], before[start - 1 : -1], own[start - 1 :])
        silent = torch.full_like(before, NEVER)
        silent[start - 1 :] = _running(
            silent[start - 1], label[start - 1 : -1], blank[start - 1 :].expand_as(own[start - 1 :])
        )
        return State(label, silent, score, state.pieces + 1)


def _running(first: Tensor, joining: Tensor, sums: Tensor) -> Tensor:
    """r_0 = first (N,), r_t = log(exp r_(t−1) + exp joining_(t−1)) + x_t, with x the steps of `sums` (n, N)."""
    gathered = torch.cat(((first - sums[0])[None], joining - sums[:-1])).logcumsumexp(0)
    return gathered + sums
