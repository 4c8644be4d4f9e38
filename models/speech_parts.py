"""The parts of a speech encoder of any configuration: our own graph where it knows it, else those of `transformers`.

The two differ in what their forward returns; `project` and `encode` hide that. Importing this module loads no
`transformers`, nor does anything here for a configuration that is ours.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from models import hub
from models.wav2vec2.config import Config, can_build, can_convolve
from models.wav2vec2.convolutions import Convolutions
from models.wav2vec2.transformer import FeatureProjection, Transformer


class Parts(NamedTuple):
    """convolutions: None where features have none (log-mel). channels: C between the first two. width: W."""

    convolutions: nn.Module | None
    projection: nn.Module
    transformer: nn.Module
    channels: int
    width: int


def make_parts(config: Mapping[str, Any], *, convolutions: bool = True) -> Parts:
    """Freshly initialised. config: as `models.hub.load_config` gives it. DataError where it cannot be built."""
    whole: Any = None if can_build(config) else hub.make_encoder(config)
    heard: nn.Module | None = None
    if convolutions:
        heard = Convolutions(Config.of(config)) if can_convolve(config) else whole.feature_extractor
    if whole is not None:
        about = whole.config
        return Parts(heard, whole.feature_projection, whole.encoder, about.conv_dim[-1], about.hidden_size)
    own = Config.of(config)
    return Parts(heard, FeatureProjection(own), Transformer(own), own.conv_dim[-1], own.hidden_size)


def project(projection: nn.Module, features: Tensor) -> Tensor:
    """(B, S, C) → (B, S, W)"""
    projected = projection(features)  # a pair or a tensor: the families of `transformers` differ
    hidden: Tensor = projected[0] if isinstance(projected, tuple) else projected
    return hidden


def encode(transformer: nn.Module, hidden: Tensor, inside: Tensor | None = None) -> Tensor:
    """(B, S, W) → (B, S, W). inside: (B, S) bool, False behind a clip's end; None where none is padded."""
    if isinstance(transformer, Transformer):
        return transformer(hidden, inside)
    with warnings.catch_warnings():
        # WavLM hands torch a boolean and a float mask together, which torch announces it will refuse one day.
        warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")
        encoded: Tensor = transformer(hidden, attention_mask=inside).last_hidden_state
    return encoded
