"""What a recipe may set of FaceFormer. Defaults are the published values for VOCASET, BIWI's stand in the helps."""

from __future__ import annotations

from dataclasses import dataclass

from models.settings import FaceSettings, setting


@dataclass(frozen=True)
class Settings(FaceSettings):
    """Sizes of the decoder, how speech meets motion, how the speech encoder is trained, and how motion is learnt."""

    feature_dim: int = setting(64, "channels d of the decoder; 64 VOCASET, 128 BIWI (official code)", low=2)
    layers: int = setting(1, "decoder layers; 1 as published", low=1)
    motion_scale: float = setting(
        1.0,
        "length, in the data's unit, that the network counts motion in; 1 as published. About the standard deviation "
        "of the motion makes training from scratch much quicker; the loss is then in this unit squared",
        low=1e-9,
    )
    teacher_forcing: bool = setting(False, "train on true instead of own earlier frames; published: false")
