"""What a recipe may set of FaceFormer. Defaults are the published values for VOCASET, BIWI's stand in the helps."""

from __future__ import annotations

from dataclasses import dataclass

from models.settings import AutoregressiveSettings, setting


@dataclass(frozen=True)
class Settings(AutoregressiveSettings):
    """Sizes of the decoder, how speech meets motion, how the speech encoder is trained, and how motion is learnt."""

    feature_dim: int = setting(64, "channels d of the decoder; 64 VOCASET, 128 BIWI (official code)", low=2)
    layers: int = setting(1, "decoder layers; 1 as published", low=1)
