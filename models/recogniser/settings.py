"""What a recipe may set of the recogniser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from models.settings import Wants, setting


@dataclass(frozen=True)
class Settings:
    """Sizes of the speech encoder, and how it is disturbed while it is trained."""

    moves: ClassVar[bool] = False

    width: int = setting(
        128, "log-mel features only: channels of the speech encoder, a multiple of 16 and of its heads", low=16
    )
    layers: int = setting(2, "log-mel features only: its layers, trained from scratch", low=1)
    heads: int = setting(4, "log-mel features only: its attention heads", low=1)
    context: int = setting(
        16,
        "log-mel features only: steps that its convolution of positions spans. wav2vec 2.0 has 128, with which few "
        "sentences are learnt by heart: what comes where, whatever is heard",
        low=2,
    )
    dropout: float = setting(0.1, "dropout of the speech encoder", low=0.0, high=0.9)
    layerdrop: float = setting(0.0, "probability of skipping a layer of the speech encoder", low=0.0, high=0.9)
    mask_time_prob: float = setting(
        0.0,
        "share of speech features where a hidden span starts, at least two spans a clip; 0: none",
        low=0.0,
        high=1.0,
    )
    mask_time_length: int = setting(10, "length of a hidden span, in speech features", low=1)

    def wants(self) -> Wants:
        """It learns to write what is said."""
        return Wants(text="written")

    def problems(self) -> Iterator[str]:
        """Sentences on settings that do not go together, each beginning with the name of one."""
        if self.width % 16 or self.width % self.heads:
            yield f"width = {self.width} must be a multiple of 16 and of heads = {self.heads}"
