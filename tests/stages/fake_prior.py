"""A motion prior of one number per frame, and a talking face that is built upon it: to test stages.

The prior knows a frame by how far it lies from the template along one direction, in K steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from models.official import fit
from models.talking_face import Clips, DataFacts

NAME = "tests.stages.fake_prior"


@dataclass(frozen=True)
class Settings:
    hears: ClassVar[bool] = False

    levels: int = 5


class FakePrior(nn.Module):
    name: ClassVar[str] = NAME

    def __init__(self, settings: Settings, facts: DataFacts) -> None:
        super().__init__()
        self.codes, self.tokens = settings.levels, 1
        self.direction = nn.Parameter(torch.full((3 * facts.vertices,), 0.01))
        self.levels = nn.Parameter(torch.linspace(-1.0, 1.0, settings.levels))

    @classmethod
    def build(cls, settings: Settings, facts: DataFacts) -> FakePrior:
        assert (facts.channels, facts.encoder) == (0, "") or facts.channels > 0
        return cls(settings, facts)

    def load_official(self, state: Mapping[str, Tensor]) -> None:
        fit(self, state, tables={})

    def _levels(self, offsets: Tensor) -> Tensor:
        along = offsets @ self.direction / self.direction.square().sum()
        return (along[..., None] - self.levels).abs().argmin(-1)

    def losses(self, clips: Clips) -> dict[str, Tensor]:
        assert clips.vertices is not None
        assert clips.frames is not None
        assert clips.features.numel() == 0
        parts, counts = [], torch.zeros(self.codes, dtype=torch.long)
        for vertices, template, frames in zip(clips.vertices, clips.template, clips.frames.tolist(), strict=True):
            offsets = vertices[:frames] - template
            chosen = self._levels(offsets)
            parts.append((self.levels[chosen][:, None] * self.direction - offsets).abs().mean())
            counts += torch.bincount(chosen, minlength=self.codes)
        return {"loss": torch.stack(parts).mean(), "codes": counts}

    def validation_losses(self, clips: Clips) -> dict[str, Tensor]:
        return self.losses(clips)

    def encode(self, vertices: Tensor, template: Tensor) -> Tensor:
        return self._levels(vertices - template)[:, None]

    def decode(self, codes: Tensor, template: Tensor) -> Tensor:
        return self.levels[codes[:, 0]][:, None] * self.direction + template


def network() -> type[Any]:
    return FakePrior
