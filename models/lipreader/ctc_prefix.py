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

from models.doubles import doubled

NEVER = -1e10
"""Logarithm of the probability of what cannot be; the published one, which is finite."""
MOST = 1 << 22
"""Numbers that are held at once while pieces are scored."""


class State(NamedTuple):
    """Of each hypothesis: r^n and r^b, (N, T), log-probabilities that frames up to t spell it and end in its last piece
    or in a blank; and `score` (N,), that of all texts that begin with it. pieces: how many it has."""

    label: Tensor
    blank: Tensor
    score: Tensor
    pieces: int

    def keep(self, hypotheses: Tensor) -> State:
        return State(self.label[hypotheses], self.blank[hypotheses], self.score[hypotheses], self.pieces)


class PrefixScores:
    """Of one clip. logits: (T, V), the blank is class 0. end: the class that ends a text."""

    def __init__(self, logits: Tensor, end: int) -> None:
        # By class first: what is looked up is a class in all frames.
        self.chances = doubled(logits).log_softmax(-1).T.contiguous()  # (V, T)
        self.sums = self.chances.cumsum(1)
        self.end = end

    def begin(self) -> State:
        """The empty text, one hypothesis."""
        blank = self.sums[:1]
        return State(torch.full_like(blank, NEVER), blank, blank.new_zeros(1), 0)

    def scores(self, state: State, last: Tensor, pieces: Tensor) -> Tensor:
        """log ψ of each hypothesis with one of its K pieces (N, K) int64 behind it, (N, K).

        last: (N,) the last piece of each, any before the first.
        """
        start = max(state.pieces, 1)
        before = torch.logaddexp(state.label, state.blank)  # (N, T)
        step = max(1, MOST // before.numel())
        found = [self._begun(before, pieces[:, i : i + step], start) for i in range(0, pieces.shape[1], step)]
        begun = torch.cat(found, dim=1)
        if state.pieces:  # a piece twice needs a blank between
            alone = self._begun(state.blank, last[:, None], start)
            begun = torch.where(pieces == last[:, None], alone, begun)
        else:  # a text may also begin in the very first frame
            begun = torch.logaddexp(begun, self.chances[:, 0][pieces])
        begun = begun.where(pieces != self.end, before[:, -1:])
        return begun.masked_fill(pieces == 0, NEVER)

    def _begun(self, before: Tensor, pieces: Tensor, start: int) -> Tensor:
        """Sum over frames t ≥ start of what `before` (N, T) has at t − 1 and the piece at t, (N, K)."""
        said = self.chances.index_select(0, pieces.flatten()).view(*pieces.shape, -1)[..., start:]
        ways = before[:, None, start - 1 : -1] + said  # (N, K, T − start)
        return ways.logsumexp(-1) if ways.shape[-1] else before.new_full(pieces.shape, NEVER)

    def extend(self, state: State, last: Tensor, piece: Tensor, score: Tensor) -> State:
        """Each hypothesis with one piece (N,) behind it, whose log ψ is `score` (N,)."""
        start = max(state.pieces, 1)
        before = torch.logaddexp(state.label, state.blank)
        if state.pieces:
            before = torch.where((piece == last)[:, None], state.blank, before)
        label, blank = torch.full_like(before, NEVER), torch.full_like(before, NEVER)
        if state.pieces == 0:
            label[:, 0] = self.chances[:, 0][piece]
        label[:, start - 1 :] = _running(label, before, self.sums[piece], start)
        blank[:, start - 1 :] = _running(blank, label, self.sums[:1], start)
        return State(label, blank, score, state.pieces + 1)


def _running(own: Tensor, joining: Tensor, sums: Tensor, start: int) -> Tensor:
    """r_t = log(exp r_(t−1) + exp joining_(t−1)) + x_t from r_(start−1) = own_(start−1) on, (N, T − start + 1).

    sums: (N, T) running sums of x. Without the sum up to t, r is a running sum of what joins.
    """
    first = own[:, start - 1 : start] - sums[:, start - 1 : start]
    gathered = torch.cat((first, joining[:, start - 1 : -1] - sums[:, start - 1 : -1]), dim=1).logcumsumexp(1)
    return gathered + sums[:, start - 1 :]
