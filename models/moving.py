"""What faces share that move with the biased decoder: they listen, and see their own past motion as tokens.

Shapes: B clips, S = T·per_frame memory steps, T frames, D = 3 V coordinates, d decoder channels.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from models.decoder import BiasedDecoder
from models.listening import ListeningFace
from models.positions import periodic_encoding
from models.resample import features_per_frame
from models.settings import FaceSettings
from models.talking_face import DataFacts


class MovingFace(ListeningFace):
    """A face makes `transformer_decoder`, by `make_decoder`, and says which of its layers is `inward`."""

    settings: FaceSettings
    transformer_decoder: BiasedDecoder

    def __init__(self, settings: FaceSettings, facts: DataFacts) -> None:
        super().__init__(settings, facts)
        self.position_dropout = nn.Dropout(settings.dropout)

    @property
    def inward(self) -> nn.Linear:
        """From motion to tokens, D → d; papers call it by several names."""
        raise NotImplementedError

    def decode_forced(self, memory: Tensor, style: Tensor, offsets: Tensor) -> Tensor:
        """Teacher forcing: (B or 1, S, d), (B, d), true offsets (B or 1, T, D) → decoder output (B, T, d).

        The first token is the embedded zero offset plus style, i.e. bias + style, unlike autoregression's: as released.
        """
        shifted = F.pad(offsets[:, :-1], (0, 0, 1, 0))
        tokens = self.inward(shifted) + style[:, None]
        positions = periodic_encoding(tokens.shape[1], tokens.shape[2], self.settings.period, tokens.device)
        decoded: Tensor = self.transformer_decoder(self.position_dropout(tokens + positions), memory)
        return decoded


def make_decoder(settings: FaceSettings) -> BiasedDecoder:
    """The biased decoder of a face's settings."""
    return BiasedDecoder(
        dim=settings.feature_dim,
        heads=settings.heads,
        feedforward=settings.feedforward or 2 * settings.feature_dim,
        layers=settings.layers,
        period=settings.period,
        per_frame=features_per_frame(settings.alignment),
        dropout=settings.dropout,
    )
