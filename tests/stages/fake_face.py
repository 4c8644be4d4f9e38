"""A talking face of a few parameters with the interface of `models.talking_face`: to test stages, not to speak.

Its name in a recipe is its dotted path. It draws from all random streams while it trains, so that a resumed run that
forgot one of them would not go on as it was.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.official import fit
from models.talking_face import Clips, DataFacts, Speech

NAME = "tests.stages.fake_face"


@dataclass(frozen=True)
class Settings:
    width: int = 8
    break_at: int = -1


class Block(nn.Linear):
    """A layer of our own: torch does not compile calls of its own modules by themselves."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class FakeFace(nn.Module):
    name: ClassVar[str] = NAME

    def __init__(self, settings: Settings, facts: DataFacts) -> None:
        super().__init__()
        self.settings, self.facts = settings, facts
        self.listen = Block(facts.channels, settings.width)
        self.style = nn.Linear(len(facts.train_subjects), settings.width, bias=False)
        self.move = nn.Linear(settings.width, facts.width)
        nn.init.zeros_(self.move.weight)
        nn.init.zeros_(self.move.bias)
        self.calls = 0
        self.encoder_runs = 0
        self.speech_source = ""

    @classmethod
    def build(cls, settings: Settings, facts: DataFacts) -> FakeFace:
        return cls(settings, facts)

    def load_speech_weights(self, source: str) -> None:
        self.speech_source = source

    def load_official(self, state: Mapping[str, Tensor]) -> None:
        fit(self, state, tables={})

    def frames_for(self, feature_length: int) -> int:
        return int(feature_length / 50.0 * self.facts.fps)

    def _motion(self, features: Tensor, frames: int, style: Tensor) -> Tensor:
        """(L, C), T, (S, K) → offsets (S, T, D)"""
        at = torch.linspace(0, len(features) - 1, frames).round().long()
        hidden = torch.tanh(self.listen(features[at])[None] + self.style(style)[:, None])
        offsets: Tensor = self.move(hidden)
        return offsets

    def _losses(self, clips: Clips, noise: float) -> Tensor:
        assert clips.vertices is not None
        assert clips.frames is not None
        losses = []
        for i in range(len(clips.features)):
            frames = int(clips.frames[i])
            features = clips.features[i, : int(clips.feature_lengths[i])]
            truth = clips.vertices[i, :frames] - clips.template[i]
            styles = clips.style if len(clips.features) == 1 else clips.style[i : i + 1]
            losses.append((self._motion(features, frames, styles) - truth + noise).square().mean())
        return torch.stack(losses).mean()

    def losses(self, clips: Clips) -> dict[str, Tensor]:
        self.calls += 1
        noise = random.random() + float(np.random.rand()) + torch.rand(()).item()
        loss = self._losses(clips, 1e-4 * noise)
        bad = float("nan") if self.calls - 1 == self.settings.break_at else 1.0
        return {"loss": loss * bad, "half": loss.detach() / 2}

    def validation_losses(self, clips: Clips) -> dict[str, Tensor]:
        return {"loss": self._losses(clips, 0.0)}

    @torch.no_grad()
    def predict(self, features: Tensor, template: Tensor, styles: Tensor) -> Tensor:
        self.encoder_runs += 1
        return self._motion(features, self.frames_for(len(features)), styles) + template

    def predict_all(self, speeches: Sequence[Speech]) -> list[Tensor]:
        return [self.predict(speech.features, speech.template, speech.styles) for speech in speeches]


def network() -> type[Any]:
    return FakeFace
