"""Encoder and decoder of CodeTalker's autoencoder, mirror images of each other.

Names of parameters are the released ones. Shapes: B clips, T frames, D = 3 V coordinates, h channels, Q·Z channels of a
frame's tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from models.codetalker_vq.blocks import BlockTransformer, Convolution, Entrance, LinearEmbedding
from models.codetalker_vq.settings import Settings
from models.padding import Padding


def _transformer(settings: Settings) -> BlockTransformer:
    return BlockTransformer(settings.hidden_size, settings.heads, settings.feedforward, settings.layers)


class Encoder(nn.Module):
    """Offsets from the template → what is quantised."""

    def __init__(self, settings: Settings, wide: int) -> None:
        super().__init__()
        dim, slope = settings.hidden_size, settings.negative_slope
        self.vertice_mapping = nn.Sequential(nn.Linear(wide, dim), nn.LeakyReLU(slope))
        self.squasher: Sequence[Convolution] = nn.Sequential(Convolution(dim, slope))  # type: ignore[assignment]
        self.encoder_linear_embedding = LinearEmbedding(dim, dim)
        self.entrance = Entrance(dim, settings.dropout)
        self.encoder_transformer = _transformer(settings)
        self.encoder_linear_embedding_post = (
            LinearEmbedding(dim, settings.tokens * settings.token_width) if settings.linear_around_codes else None
        )

    def forward(self, offsets: Tensor, padding: Padding | None = None) -> Tensor:
        """(B, T, D) → (B, T, Q·Z)"""
        x: Tensor = self.squasher[0](self.vertice_mapping(offsets), padding)
        x = self.encoder_transformer(self.entrance(self.encoder_linear_embedding(x)), padding)
        return x if self.encoder_linear_embedding_post is None else self.encoder_linear_embedding_post(x)


class Decoder(nn.Module):
    """Quantised features → offsets from the template; `forward` stops before the last layer, `vertice_map_reverse`."""

    def __init__(self, settings: Settings, wide: int) -> None:
        super().__init__()
        dim = settings.hidden_size
        self.decoder_linear_embedding_pre = (
            LinearEmbedding(settings.tokens * settings.token_width, dim) if settings.linear_around_codes else None
        )
        convolution = Convolution(dim, settings.negative_slope)
        self.expander: Sequence[Convolution] = nn.Sequential(convolution)  # type: ignore[assignment]
        self.decoder_linear_embedding = LinearEmbedding(dim, dim)
        self.entrance = Entrance(dim, settings.dropout)
        self.decoder_transformer = _transformer(settings)
        self.vertice_map_reverse = nn.Linear(dim, wide, bias=settings.output_bias)

    def forward(self, quantised: Tensor, padding: Padding | None = None) -> Tensor:
        """(B, T, Q·Z) → (B, T, h)"""
        return self.transform(self.prepare(quantised, padding), padding)

    def prepare(self, quantised: Tensor, padding: Padding | None = None) -> Tensor:
        """All but the transformer, with the norm over the whole clip: (B, T, Q·Z) → (B, T, h)."""
        x = self.expander[0](self.enter(quantised), padding)
        out: Tensor = self.entrance(self.decoder_linear_embedding(x))
        return out

    def transform(self, prepared: Tensor, padding: Padding | None = None) -> Tensor:
        """The transformer, which sees all frames that it is given: (B, T, h) → (B, T, h)."""
        out: Tensor = self.decoder_transformer(prepared, padding)
        return out

    def enter(self, quantised: Tensor) -> Tensor:
        """(B, T, Q·Z) → what is convolved, (B, T, h)"""
        return quantised if self.decoder_linear_embedding_pre is None else self.decoder_linear_embedding_pre(quantised)
