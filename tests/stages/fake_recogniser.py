"""A recogniser of one layer, as one that was trained here: to test the stage that hears with it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from models.talking_face import DataFacts
from stages.kinds.checkpoint import BEST, Config, write_config, write_weights

NAME = "tests.stages.fake_recogniser"
VOCABULARY = ("<pad>", "<unk>", "|", "a", "b")


@dataclass(frozen=True)
class Settings:
    width: int = 6


class FakeRecogniser(nn.Module):
    name: ClassVar[str] = NAME
    vocabulary = VOCABULARY

    def __init__(self, settings: Settings, facts: DataFacts) -> None:
        super().__init__()
        self.listen = nn.Linear(facts.channels, settings.width)
        self.lm_head = nn.Linear(settings.width, len(VOCABULARY))

    @classmethod
    def build(cls, settings: Settings, facts: DataFacts) -> FakeRecogniser:
        return cls(settings, facts)

    def recognise(self, features: Tensor) -> tuple[Tensor, Tensor]:
        hidden = torch.tanh(self.listen(features))
        return hidden, self.lm_head(hidden)


def network() -> type[Any]:
    return FakeRecogniser


def write_checkpoint(folder: Path, channels: int, encoder: str, weights: str = "", seed: int = 0) -> FakeRecogniser:
    """A checkpoint that was trained on such features."""
    torch.manual_seed(seed)
    facts = DataFacts(12, 30.0, ("A", "B"), channels, encoder, vocabulary=VOCABULARY)
    made = FakeRecogniser(Settings(), facts)
    folder.mkdir(parents=True)
    write_weights(folder / BEST, made.state_dict())
    write_config(folder, Config(NAME, {"width": 6}, dataclasses.asdict(facts), "tiny", "m", weights))
    return made
