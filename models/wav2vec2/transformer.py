"""Features → hidden states: projection, positional convolution and transformer of wav2vec 2.0 (Baevski et al., 2020).

Two orders of norms: after each sublayer (base models), or before it, with one more at the end ("stable", large models).
Shapes: B clips, S steps, C feature channels, W width, H heads, e = W/H.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from models.wav2vec2.config import Config


class FeatureProjection(nn.Module):
    """(B, S, C) → (B, S, W)"""

    def __init__(self, config: Config) -> None:
        super().__init__()
        channels = config.conv_dim[-1]
        self.layer_norm = nn.LayerNorm(channels, eps=config.layer_norm_eps) if config.feat_proj_layer_norm else None
        self.projection = nn.Linear(channels, config.hidden_size)
        self.dropout = nn.Dropout(config.feat_proj_dropout)

    def forward(self, features: Tensor) -> Tensor:
        normed = features if self.layer_norm is None else self.layer_norm(features)
        projected: Tensor = self.dropout(self.projection(normed))
        return projected


class PositionalConvolution(nn.Module):
    """Relative positions: a wide grouped convolution over time, the same length as its input."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, kernel = config.hidden_size, config.num_conv_pos_embeddings
        conv = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=config.num_conv_pos_embedding_groups)
        assert conv.bias is not None
        nn.init.zeros_(conv.bias)
        # One norm for each place in the kernel, over all channels. It also loads the older spelling of its names.
        self.conv = weight_norm(conv, dim=2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, S, W) → (B, S, W)"""
        convolved: Tensor = self.conv(x.transpose(1, 2))
        return F.gelu(convolved[..., : x.shape[1]]).transpose(1, 2)  # an even kernel makes a step too many


class Attention(nn.Module):
    """Self-attention with four projections of their own."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.k_proj = _linear(width, width, config)
        self.v_proj = _linear(width, width, config)
        self.q_proj = _linear(width, width, config)
        self.out_proj = _linear(width, width, config)
        self.drop = config.attention_dropout

    def forward(self, x: Tensor, seen: Tensor | None) -> Tensor:
        """(B, S, W) → (B, S, W). seen: (B, 1, 1, S) bool, False for keys behind a clip's end."""
        query, key, value = (
            projection(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        drop = self.drop if self.training else 0.0
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=seen, dropout_p=drop)
        out: Tensor = self.out_proj(found.transpose(1, 2).flatten(2))
        return out


class FeedForward(nn.Module):
    """(B, S, W) → (B, S, W)"""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.intermediate_dense = _linear(config.hidden_size, config.intermediate_size, config)
        self.output_dense = _linear(config.intermediate_size, config.hidden_size, config)
        self.intermediate_dropout = nn.Dropout(config.activation_dropout)
        self.output_dropout = nn.Dropout(config.hidden_dropout)

    def forward(self, x: Tensor) -> Tensor:
        widened = self.intermediate_dropout(F.gelu(self.intermediate_dense(x)))
        out: Tensor = self.output_dropout(self.output_dense(widened))
        return out


class Layer(nn.Module):
    """Attention and feed-forward, each added to its input; norms before or after them."""

    worth_compiling: ClassVar[bool] = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.norms_first = config.do_stable_layer_norm
        self.attention = Attention(config)
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.feed_forward = FeedForward(config)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, x: Tensor, seen: Tensor | None) -> Tensor:
        """(B, S, W) → (B, S, W)"""
        out: Tensor
        if self.norms_first:
            x = x + self.dropout(self.attention(self.layer_norm(x), seen))
            out = x + self.feed_forward(self.final_layer_norm(x))
            return out
        x = self.layer_norm(x + self.dropout(self.attention(x, seen)))
        out = self.final_layer_norm(x + self.feed_forward(x))
        return out


class Transformer(nn.Module):
    """Positions, then layers, each of which is skipped in training with the probability `layerdrop`."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.norms_first = config.do_stable_layer_norm
        self.layerdrop = config.layerdrop
        self.pos_conv_embed = PositionalConvolution(config)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.layers: Sequence[Layer] = nn.ModuleList(  # type: ignore[assignment]
            Layer(config) for _ in range(config.num_hidden_layers)
        )

    def forward(self, hidden: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """(B, S, W) → (B, S, W). attention_mask: (B, S) bool, False behind a clip's end; None where none is padded.

        A padded clip gets what it would get alone; steps after its end hold nothing of meaning.
        """
        seen = None
        if attention_mask is not None:
            # Alone, a clip is followed by zeros in the positional convolution.
            hidden = hidden.masked_fill(~attention_mask[..., None], 0.0)
            seen = attention_mask[:, None, None]
        x = hidden + self.pos_conv_embed(hidden)
        x = self.dropout(x if self.norms_first else self.layer_norm(x))
        for layer in self.layers:
            if self._stays():
                x = layer(x, seen)
        return self.layer_norm(x) if self.norms_first else x

    def _stays(self) -> bool:
        """Drawn on the CPU, so that a seed skips the same layers on every device."""
        if not self.training or self.layerdrop == 0:
            return True
        return float(torch.rand(())) >= self.layerdrop


def _linear(inward: int, outward: int, config: Config) -> nn.Linear:
    made = nn.Linear(inward, outward)
    nn.init.normal_(made.weight, std=config.initializer_range)
    nn.init.zeros_(made.bias)
    return made
