"""A talking face that reads lips, and features of a recogniser that heard something: to test what becomes of texts.

The face spells how far the mouth is open, a letter a step; told so, it can read nothing. Its name in a recipe is its
dotted path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from models.talking_face import DataFacts
from stages.kinds.features import Encoder, Features, write_features
from tests.stages import fake_face

NAME = "tests.stages.lip_face"
VOCABULARY = ("<pad>", "|", "a", "b", "c", "d")


@dataclass(frozen=True)
class Settings(fake_face.Settings):
    reads: bool = True


class LipFace(fake_face.FakeFace):
    name: ClassVar[str] = NAME
    settings: Settings
    vocabulary = VOCABULARY
    lips = (0, 1, 2, 3, 4, 5)

    @classmethod
    def build(cls, settings: fake_face.Settings, facts: DataFacts) -> LipFace:
        return cls(settings, facts)

    @property
    def reads(self) -> bool:
        return self.settings.reads

    @torch.no_grad()
    def read_lips(self, motion: Tensor, template: Tensor) -> Tensor:
        """(T, D), (D,) → logits (T, 6): blanks and letters by turns, the letter by how far the lips are from rest."""
        moved = (motion - template).reshape(len(motion), -1, 3)[:, list(self.lips)]
        classes = 2 + (1e4 * moved.square().sum(dim=(1, 2)).sqrt()).long() % 4
        classes[::2] = 0
        return torch.nn.functional.one_hot(classes, len(VOCABULARY)).float()


def network() -> type[LipFace]:
    return LipFace


def spelt(text: str, length: int) -> np.ndarray:
    """(length, 6) logits that say a text, blanks between its letters."""
    classes = np.zeros(length, int)
    classes[1 : 2 * len(text) : 2] = [VOCABULARY.index(letter.replace(" ", "|")) for letter in text]
    return np.eye(len(VOCABULARY), dtype=np.float32)[classes]


def with_text(features: Path, folder: Path, texts: Mapping[str, str]) -> Path:
    """The same features, and what was heard with them; "abc" where nothing else is said."""
    folder.mkdir(parents=True)
    old = Features(features)
    facts = vars(old.encoder) | {"vocabulary": VOCABULARY, "text_weights": "w"}
    logits = {name: spelt(texts.get(name, "abc"), old.length(name)) for name in old.ids()}
    write_features(folder, old.ids(), Encoder(**facts), old.__getitem__, logits=logits.__getitem__)
    return folder
