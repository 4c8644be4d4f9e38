"""A talking face upon the prior of `fake_prior`: loudness to codes. It counts what it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.motion_prior import MotionPrior
from models.official import fit
from models.talking_face import Clips, DataFacts, Speech
from tests.stages import fake_prior

NAME = "tests.stages.fake_code_face"


@dataclass(frozen=True)
class Settings:
    prior: ClassVar[str] = fake_prior.NAME

    width: int = 4


class FakeCodeFace(nn.Module):
    name: ClassVar[str] = NAME

    def __init__(self, settings: Settings, facts: DataFacts, prior: MotionPrior) -> None:
        super().__init__()
        self.facts = facts
        self.prior = [prior]  # in a list: out of the state dict
        self.listen = nn.Linear(facts.channels, prior.codes)
        self.style = nn.Linear(len(facts.train_subjects), prior.codes, bias=False)
        self.given: list[Tensor] = []
        self.context = 0

    @classmethod
    def build(cls, settings: Settings, facts: DataFacts, prior: MotionPrior) -> FakeCodeFace:
        return cls(settings, facts, prior)

    def load_speech_weights(self, source: str) -> None:
        raise AssertionError("log-mel features have no speech weights")

    def load_official(self, state: Mapping[str, Tensor]) -> None:
        fit(self, state, tables={})

    def bound_context(self, frames: int) -> None:
        self.context = frames

    def frames_for(self, feature_length: int) -> int:
        return int(feature_length / 50.0 * self.facts.fps)

    def frames_to_learn(self, frames: int, feature_length: int) -> int:
        return frames

    def _logits(self, features: Tensor, frames: int, style: Tensor) -> Tensor:
        at = torch.linspace(0, len(features) - 1, frames).round().long()
        logits: Tensor = self.listen(features[at])[None] + self.style(style)[:, None]
        return logits

    def losses(self, clips: Clips) -> dict[str, Tensor]:
        assert clips.codes is not None
        assert clips.frames is not None
        losses = []
        for i, frames in enumerate(clips.frames.tolist()):
            features = clips.features[i, : int(clips.feature_lengths[i])]
            style = clips.style if len(clips.features) == 1 else clips.style[i : i + 1]
            logits = self._logits(features, frames, style)
            target = clips.codes[i, :frames, 0].expand(len(style), -1)
            losses.append(F.cross_entropy(logits.transpose(1, 2), target))
            self.given.append(clips.codes[i, :frames])
        return {"loss": torch.stack(losses).mean()}

    def validation_losses(self, clips: Clips) -> dict[str, Tensor]:
        return self.losses(clips)

    @torch.no_grad()
    def predict(self, features: Tensor, template: Tensor, styles: Tensor) -> Tensor:
        codes = self._logits(features, self.frames_for(len(features)), styles).argmax(-1)
        return torch.stack([self.prior[0].decode(row[:, None], template) for row in codes])

    def predict_all(self, speeches: Sequence[Speech]) -> list[Tensor]:
        return [self.predict(speech.features, speech.template, speech.styles) for speech in speeches]


def network() -> type[Any]:
    return FakeCodeFace
