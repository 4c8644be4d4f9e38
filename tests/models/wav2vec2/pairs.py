"""The same random weights in a network of `transformers` and in our graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models import hub
from models.wav2vec2.config import Config
from models.wav2vec2.convolutions import Convolutions
from models.wav2vec2.transformer import FeatureProjection, Transformer

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "mask_time_prob": 0.0,  # a network of theirs then has no vector that masks; ours is of `SpeechEncoder`
    "feat_proj_dropout": 0.0,
    "hidden_dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "layerdrop": 0.0,
}
LARGE = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True, "num_conv_pos_embeddings": 15}
CONFIGS: dict[str, dict[str, Any]] = {
    "wav2vec2 base": {"model_type": "wav2vec2", **SMALL},
    "wav2vec2 large": {"model_type": "wav2vec2", **SMALL, **LARGE},
    "hubert base": {"model_type": "hubert", **SMALL},
    "hubert large": {"model_type": "hubert", **SMALL, **LARGE},
    "hubert without a norm": {"model_type": "hubert", **SMALL, "feat_proj_layer_norm": False, "layer_norm_eps": 1e-3},
}


class Whole(nn.Module):
    """Our parts under the names of a whole network."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        own = Config.of(config)
        self.feature_extractor = Convolutions(own)
        self.feature_projection = FeatureProjection(own)
        self.encoder = Transformer(own)

    def forward(self, audio: Tensor, samples: list[int] | None = None, inside: Tensor | None = None) -> Tensor:
        features = self.feature_extractor(audio, samples).transpose(1, 2)
        hidden: Tensor = self.encoder(self.feature_projection(features), inside)
        return hidden


def pair(config: dict[str, Any], seed: int = 0) -> tuple[Any, Whole]:
    """In eval mode, every parameter random: norms start as ones and zeros, which would hide what they multiply."""
    torch.manual_seed(seed)
    theirs, ours = hub.make_encoder(config).eval(), Whole(config).eval()
    for name, value in list(theirs.named_parameters()):
        if value.ndim == 1 or name.endswith("original0"):
            nn.init.normal_(value, mean=float(name.endswith(("norm.weight", "original0"))), std=0.2)
        elif "layers" in name and "conv" not in name:
            nn.init.normal_(value, std=0.2)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def same_gradients(one: nn.Module, other: nn.Module, loss: Tensor, other_loss: Tensor) -> None:
    """Of every parameter, to 1e-5 of the largest."""
    parameters, others = (dict(network.named_parameters()) for network in (one, other))
    found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    expected = torch.autograd.grad(other_loss, [others[name] for name in parameters], allow_unused=True)
    for name, a, b in zip(parameters, found, expected, strict=True):
        assert (a is None) is (b is None), name
        if a is not None and b is not None:
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * max(1.0, b.abs().max().item()), msg=name)
