"""From features to text: greedy by CTC alone, or a beam search in which both heads have a say (Watanabe et al., "Hybrid
CTC/Attention Architecture for End-to-End Speech Recognition", IEEE JSTSP 2017), as Auto-AVSR decodes.

No language model, no bonus and no normalisation by length. Shapes: T frames, D channels, V classes, N hypotheses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from faces.errors import DataError
from models.doubles import doubled
from models.lipreader.ctc_prefix import NEVER, PrefixScores, State
from models.lipreader.decoder import Decoder, Written

if TYPE_CHECKING:
    from models.lipreader.net import LipReader

BEAM, CTC_WEIGHT = 40, 0.1
"""As published."""
PRE_BEAM = 1.5
"""Pieces of each hypothesis that CTC scores, the best by the decoder, per hypothesis kept."""
FAR, LENGTHS = 10.0, 3
"""The search ends once the best of the last three lengths are this far behind the best of all."""


@dataclass(frozen=True)
class Hypothesis:
    """A finished text. pieces: classes, without what begins and ends it. scores: (1 − w)·decoder + w·ctc, in nats.
    ends: how often its end was written: twice where the last frame cut off a text that had just ended."""

    pieces: tuple[int, ...]
    score: float
    decoder: float
    ctc: float
    ends: int = 1


@dataclass
class _Running:
    """N texts that go on, of the same length. pieces: (N, n) int64, the first begins a text."""

    pieces: Tensor
    score: Tensor
    decoder: Tensor
    ctc: Tensor
    state: State


def read_greedily(logits: Tensor) -> list[int]:
    """CTC logits (T, V) → classes: every frame's best, repeats merged, blanks (0) dropped."""
    best = torch.unique_consecutive(logits.argmax(-1))
    kept: list[int] = best[best != 0].tolist()
    return kept


@torch.no_grad()
def read(network: LipReader, features: Tensor, beam: int = BEAM, ctc_weight: float = CTC_WEIGHT) -> list[Hypothesis]:
    """What a lip reader reads in one clip's features (T, D), the best first. Meant for eval mode."""
    logits = network.ctc(features[None])[0]
    return BeamSearch(network.decoder, features, logits, beam, ctc_weight).run()


class BeamSearch:
    """One clip's search. logits: (T, V) of the CTC head; features: (T, D), which the decoder attends to."""

    def __init__(
        self, decoder: Decoder, features: Tensor, logits: Tensor, beam: int = BEAM, ctc_weight: float = CTC_WEIGHT
    ) -> None:
        if beam < 1 or not 0 <= ctc_weight <= 1:
            raise DataError(f"beam = {beam} must be 1 at least and ctc_weight = {ctc_weight} between 0 and 1")
        if not len(logits) or len(logits) != len(features):
            raise DataError(f"a clip is read from as many frames of both, one at least: {len(features)}, {len(logits)}")
        self.decoder, self.features = decoder, features
        self.frames, self.classes = logits.shape
        self.beam, self.weight = beam, ctc_weight
        self.end = self.classes - 1
        self.prefixes = PrefixScores(logits, self.end)
        self.finished: list[Hypothesis] = []

    @torch.no_grad()
    def run(self) -> list[Hypothesis]:
        """All finished hypotheses, the best first."""
        written = self.decoder.begin(self.features)
        nothing = doubled(self.features.new_zeros(1))
        first = torch.full((1, 1), self.end, device=nothing.device)
        running = _Running(first, nothing, nothing, nothing, self.prefixes.begin())
        for step in range(self.frames):
            running, kept = self._extended(running, written, step == self.frames - 1)
            if not len(kept) or self._over(step):
                break
            written.keep(kept.to(self.features.device))
        return sorted(self.finished, key=lambda one: one.score, reverse=True)

    def _extended(self, running: _Running, written: Written, is_last: bool) -> tuple[_Running, Tensor]:
        """The best pairs of hypotheses and pieces: those that end are put away; the others, and what they extend."""
        last = running.pieces[:, -1].to(self.features.device)
        said = doubled(self.decoder.step(written, last)).log_softmax(-1)  # (N, V)
        gain = self._gain(running, said)
        total = running.score[:, None] + (1 - self.weight) * said + self.weight * gain
        score, flat = total.flatten().topk(min(self.beam, total.numel()))
        parent, piece = flat // self.classes, flat % self.classes
        made = _Running(
            torch.cat((running.pieces[parent], piece[:, None]), dim=1),
            score,
            running.decoder[parent] + said[parent, piece],
            running.ctc[parent] + gain[parent, piece],
            running.state,
        )
        going = (piece != self.end) & (not is_last)
        self._finish(made, ~going)
        on = going.nonzero()[:, 0]
        before, last = running.state.keep(parent[on]), running.pieces[parent[on], -1]
        state = self.prefixes.extend(before, last, piece[on], before.score + gain[parent[on], piece[on]])
        return _Running(made.pieces[on], score[on], made.decoder[on], made.ctc[on], state), parent[on]

    def _gain(self, running: _Running, said: Tensor) -> Tensor:
        """What CTC adds for each piece, (N, V): log ψ with it − log ψ without."""
        if not self.weight:
            return torch.zeros_like(said)
        state, last = running.state, running.pieces[:, -1]
        asked = int(PRE_BEAM * self.beam)
        if self.weight == 1 or asked >= self.classes:
            pieces = torch.arange(self.classes, device=said.device).expand(len(last), -1)
            return self.prefixes.scores(state, last, pieces) - state.score[:, None]
        ends = torch.full_like(last, self.end)[:, None]
        pieces = torch.cat((said.topk(asked).indices, ends), dim=1)
        psi = torch.full_like(said, NEVER).scatter(1, pieces, self.prefixes.scores(state, last, pieces))
        return psi - state.score[:, None]

    def _finish(self, made: _Running, which: Tensor) -> None:
        for number in which.nonzero()[:, 0].tolist():
            pieces: list[int] = made.pieces[number, 1:].tolist()
            # In the last step an end is put behind every text, also behind one that has just ended.
            ends = 1 + (pieces[-1] == self.end and len(pieces) == self.frames)
            self.finished.append(
                Hypothesis(
                    tuple(one for one in pieces if one != self.end),
                    made.score[number].item(),
                    made.decoder[number].item(),
                    made.ctc[number].item(),
                    ends,
                )
            )

    def _over(self, step: int) -> bool:
        """Whether texts of the last lengths, what begins and ends them counted, are all hopeless."""
        best = max((one.score for one in self.finished), default=-math.inf)
        for length in range(step, step - LENGTHS, -1):
            same = [one.score for one in self.finished if 1 + len(one.pieces) + one.ends == length]
            if not same or max(same) - best >= -FAR:
                return False
        return True
