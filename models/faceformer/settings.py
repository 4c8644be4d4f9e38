"""What a recipe may set of FaceFormer. Defaults are the published values for VOCASET, BIWI's stand in the helps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


def _setting(default: Any, help: str, **limits: Any) -> Any:
    return field(default=default, metadata={"help": help, **limits})


@dataclass(frozen=True)
class Settings:
    """Sizes of the decoder, how speech meets motion, and how the speech encoder is trained."""

    feature_dim: int = _setting(64, "channels d of the decoder; 64 VOCASET, 128 BIWI (official code)", low=2)
    period: int = _setting(30, "frames p after which positions repeat; 30 VOCASET, 25 BIWI: one second", low=1)
    heads: int = _setting(4, "attention heads of the decoder; 4 as published", low=1)
    layers: int = _setting(1, "decoder layers; 1 as published", low=1)
    feedforward: int = _setting(
        0, "channels of the decoder's feed-forward part; 0 is 2·feature_dim, as published", low=0
    )
    alignment: str = _setting(
        "interpolate",
        "speech to motion: 'interpolate' stretches the features to the frame rate (VOCASET), "
        "'pairs' gives each frame two features and needs 25 fps (BIWI)",
        choices=("interpolate", "pairs"),
    )
    motion_scale: float = _setting(
        1.0,
        "length, in the data's unit, that the network counts motion in; 1 as published. About the standard deviation "
        "of the motion makes training from scratch much quicker; the loss is then in this unit squared",
        low=1e-9,
    )
    teacher_forcing: bool = _setting(False, "train on true instead of own earlier frames; published: false")
    dropout: float = _setting(0.1, "dropout of the decoder", low=0.0, high=0.9)

    encoder_dropout: float = _setting(0.1, "dropout of the speech encoder's transformer", low=0.0, high=0.9)
    layerdrop: float = _setting(0.1, "probability of skipping a layer of the speech encoder", low=0.0, high=0.9)
    mask_time_prob: float = _setting(
        0.05,
        "share of speech features where a hidden span starts, at least two spans a clip; 0: none",
        low=0.0,
        high=1.0,
    )
    mask_time_length: int = _setting(10, "length of a hidden span, in speech features", low=1)

    encoder_layers: int = _setting(
        3, "log-mel features only: layers of the speech encoder, trained from scratch", low=1
    )
    encoder_width: int = _setting(192, "log-mel features only: its channels, a multiple of 16 and of its heads", low=16)
    encoder_heads: int = _setting(4, "log-mel features only: its attention heads", low=1)

    def problems(self) -> Iterator[str]:
        """Sentences on settings that do not go together, each beginning with the name of one."""
        if self.feature_dim % self.heads:
            yield f"feature_dim = {self.feature_dim} is no multiple of heads = {self.heads}"
        width, heads = self.encoder_width, self.encoder_heads
        if width % 16 or width % heads:
            yield f"encoder_width = {width} must be a multiple of 16 and of encoder_heads = {heads}"
