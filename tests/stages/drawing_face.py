"""A face whose motion is drawn, of vertices or of a track, and which studies its data before it trains: to test stages.

Around what it hears in a sentence it draws noise of the motion's own size, by a generator of each seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from models.sampling import Sampling
from models.settings import Wants
from models.talking_face import DataFacts, Speech
from tests.stages import fake_face

NAME = "tests.stages.drawing_face"
SHARE = 0.2
"""Of the motion's size, what the noise has at the usual guidance."""


@dataclass(frozen=True)
class Settings(fake_face.Settings):
    track: str = ""

    draws: ClassVar[bool] = True
    styles: ClassVar[bool] = False

    def wants(self) -> Wants:
        return Wants(track=self.track)


class DrawingFace(fake_face.FakeFace):
    name: ClassVar[str] = NAME
    mean: Tensor
    size: Tensor

    def __init__(self, settings: Settings, facts: DataFacts) -> None:
        super().__init__(settings, facts)
        self.register_buffer("mean", torch.zeros(facts.width))
        self.register_buffer("size", torch.ones(()))
        self.sampling = Sampling()
        self.studied = 0

    @classmethod
    def build(cls, settings: fake_face.Settings, facts: DataFacts) -> DrawingFace:
        assert isinstance(settings, Settings)
        return cls(settings, facts)

    def study(self, motions: Callable[[], Iterable[tuple[Tensor, Tensor]]]) -> None:
        self.studied += 1
        self.mean.copy_(torch.cat([motion - template for motion, template in motions()]).mean(dim=0))
        moved = torch.cat([motion - template - self.mean for motion, template in motions()])
        self.size.copy_(moved.std())

    def sample_with(self, sampling: Sampling) -> None:
        self.sampling = sampling

    def _motion(self, features: Tensor, frames: int, style: Tensor) -> Tensor:
        return self.mean + self.size * super()._motion(features, frames, torch.zeros_like(style))

    @torch.no_grad()
    def predict_all(self, speeches: Sequence[Speech]) -> list[Tensor]:
        return [self._drawn(speech) for speech in speeches]

    def _drawn(self, speech: Speech) -> Tensor:
        heard = self.predict(speech.features, speech.template, speech.styles[:1])
        noise = [_noise(seed, heard[0]) for seed in speech.seeds or (0,)]
        return heard + SHARE * self.sampling.guidance / 2 * self.size * torch.stack(noise)


def _noise(seed: int, like: Tensor) -> Tensor:
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed)).to(like)


def network() -> type[DrawingFace]:
    return DrawingFace
