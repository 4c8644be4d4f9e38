"""What a recipe may set of CodeTalker's first stage. Defaults are the published values for VOCASET, BIWI's stand in
the helps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from models.settings import setting


@dataclass(frozen=True)
class Settings:
    """Sizes of the autoencoder and of its codebook, and the weights of its losses."""

    hears: ClassVar[bool] = False

    hidden_size: int = setting(1024, "channels h of encoder and decoder; 1024 as published", low=2)
    layers: int = setting(6, "transformer layers in the encoder, and as many in the decoder; 6 as published", low=1)
    heads: int = setting(8, "attention heads; 8 as published", low=1)
    feedforward: int = setting(1536, "channels of the feed-forward parts; 1536 as published", low=1)
    tokens: int = setting(16, "tokens Q that stand for a frame; 16 VOCASET, 8 BIWI (official code)", low=1)
    token_width: int = setting(64, "channels Z of a token and of a code; 64 VOCASET, 128 BIWI", low=1)
    codes: int = setting(256, "codes K in the codebook; 256 as published", low=2, high=32767)
    codebook_scale: float = setting(
        1.0,
        "the codebook starts uniform within ± this / codes; 1 as published. Larger spreads the codes out, so that more "
        "of them are chosen while features are still large",
        low=1e-9,
    )
    linear_around_codes: bool = setting(
        False,
        "linear layers between the h channels and the Q·Z channels of a frame's tokens; VOCASET false, BIWI true. "
        "Without them h must be Q·Z",
    )
    output_bias: bool = setting(True, "whether the layer that makes vertices has a bias; VOCASET true, BIWI false")
    negative_slope: float = setting(0.2, "of the leaky rectifiers; 0.2 as published", low=0.0, high=1.0)
    dropout: float = setting(0.1, "dropout where the transformers begin; 0.1 as published", low=0.0, high=0.9)
    quantiser_weight: float = setting(1.0, "weight of the quantiser's loss; 1 as published", low=0.0)
    beta: float = setting(0.25, "weight of the commitment in the quantiser's loss; 0.25 as published", low=0.0)
    quant_factor: int = setting(0, "halvings of the frame rate before the codes; 0, as in all published models", low=0)
    motion_scale: float = setting(
        1.0,
        "length, in the data's unit, that the network counts motion in; 1 as published. About the standard deviation "
        "of the motion makes training from scratch much quicker; the reconstruction loss is then in this unit",
        low=1e-9,
    )

    def problems(self) -> Iterator[str]:
        """Sentences on settings that do not go together, each beginning with the name of one."""
        if self.hidden_size % self.heads:
            yield f"hidden_size = {self.hidden_size} is no multiple of heads = {self.heads}"
        wide = self.tokens * self.token_width
        if not self.linear_around_codes and wide != self.hidden_size:
            yield (
                f"hidden_size = {self.hidden_size} must be tokens · token_width = {wide} "
                "where linear_around_codes is false"
            )
        if self.quant_factor:
            yield (
                f"quant_factor = {self.quant_factor} would halve the frame rate, which no published model does and "
                "speech cannot be matched to; only 0 is built"
            )
