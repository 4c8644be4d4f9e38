"""What a face that reads lips makes of its own motion, beside what the recogniser heard in the sound.

SelfTalk (Peng et al., ACM MM 2023) learns with an interpreter that turns lip motion into the recogniser's text. Run on
what was predicted, it shows what the motion would tell someone who cannot hear.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from faces.errors import DataError
from models.text import Vocabulary
from pipeline.errors import StageError
from stages.kinds.features import LOGITS, Features
from stages.kinds.predictions import Text, write_text
from stages.kinds.sequences import Sequences

Motion = NDArray[np.float32]


class LipReader:
    """Reads what lies in files, so that a text is the same however its motion was made: in a batch, or in blocks."""

    def __init__(self, network: Any, data: Sequences, features: Features, device: str) -> None:
        self.network, self.data, self.features, self.device = network, data, features, device
        self.vocabulary = Vocabulary(network.vocabulary)

    def write(self, folder: Path, name: str, motions: Sequence[Path]) -> list[Path]:
        """A text beside each motion of a sentence, called as its file is."""
        heard = self.heard(name)

        def text(file: Path) -> Text:
            return Text(heard, self.read(name, np.load(file, mmap_mode="c")))  # a read-only map would make no tensor

        return [write_text(folder, file.stem, text(file)) for file in motions]

    def heard(self, name: str) -> str | None:
        """What the recogniser heard in a sentence; None where the features hold no text."""
        if self._recogniser is None:
            return None
        logits = self.features.logits(name)
        if logits.shape[1:] != (len(self._recogniser),) or not np.isfinite(logits).all():
            raise DataError(
                f"{self.features.path} holds logits of {name} that are not numbers, or not of the vocabulary beside "
                "them: run the features step again"
            )
        return self._recogniser.read(logits)

    def read(self, name: str, motion: Motion) -> str:
        """What the lips of a motion (T, D) say; of a mapped file only they are read, unless it must go to a device.
        StageError where the network's answer is none."""
        template = self.data.template_of(name).reshape(-1)
        given = (torch.from_numpy(array).to(self.device) for array in (motion, template))
        logits: Motion = self.network.read_lips(*given).float().cpu().numpy()
        if not np.isfinite(logits).all():
            raise StageError(f"what the network reads off the lips of {name} is not finite: train it again")
        return self.vocabulary.read(logits)

    @cached_property
    def _recogniser(self) -> Vocabulary | None:
        return Vocabulary(self.features.encoder.vocabulary) if LOGITS in self.features else None


def lip_reader(network: Any, data: Sequences, features: Features, device: str) -> LipReader | None:
    """None for a network that reads no lips, or that was not told which vertices these are."""
    return LipReader(network, data, features, device) if getattr(network, "reads", False) else None
