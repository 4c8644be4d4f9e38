"""The conformer encoder (Gulati et al., "Conformer: Convolution-augmented Transformer for Speech Recognition",
Interspeech 2020) as Auto-AVSR has it: ReLU in the feed-forward parts, positions in the attention alone.

Convolution modules see what lies behind a clip's end, as in the released code: a clip in a padded batch gets other
numbers than alone in its last 15 frames, and by way of the layers everywhere. Shapes: B clips, T frames, F features of
a front end, D channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.lipreader.attention import RelativeAttention
from models.lipreader.positions import sinusoids

NORM_EPS = 1e-12
"""Of all layer norms of Auto-AVSR, the decoder's too."""


def layer_norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, eps=NORM_EPS)


class FeedForward(nn.Module):
    """(B, T, D) → (B, T, D)"""

    def __init__(self, width: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.w_1 = nn.Linear(width, feedforward)
        self.w_2 = nn.Linear(feedforward, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.w_2(self.dropout(F.relu(self.w_1(x))))
        return out


class Convolution(nn.Module):
    """(B, T, D) → (B, T, D): every channel over `kernel` frames, between two layers that mix channels."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.pointwise_cov1 = nn.Conv1d(width, 2 * width, 1)  # "cov": the released spelling
        self.depthwise_conv = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.BatchNorm1d(width)
        self.pointwise_cov2 = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.glu(self.pointwise_cov1(x.transpose(1, 2)), dim=1)
        out: Tensor = self.pointwise_cov2(F.silu(self.norm(self.depthwise_conv(y))))
        return out.transpose(1, 2)


class Layer(nn.Module):
    """Half a feed-forward part, attention, convolution, the other half; each normed before and added, then a norm."""

    def __init__(self, width: int, heads: int, feedforward: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.feed_forward_macaron = FeedForward(width, feedforward, dropout)
        self.self_attn = RelativeAttention(width, heads, dropout)
        self.conv_module = Convolution(width, kernel)
        self.feed_forward = FeedForward(width, feedforward, dropout)
        self.norm_ff_macaron = layer_norm(width)
        self.norm_mha = layer_norm(width)
        self.norm_conv = layer_norm(width)
        self.norm_ff = layer_norm(width)
        self.norm_final = layer_norm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, distances: Tensor, inside: Tensor | None) -> Tensor:
        """(B, T, D) → (B, T, D); see `RelativeAttention.attend`."""
        drop = self.dropout
        x = x + 0.5 * drop(self.feed_forward_macaron(self.norm_ff_macaron(x)))
        x = x + drop(self.self_attn.attend(self.norm_mha(x), distances, inside))
        x = x + drop(self.conv_module(self.norm_conv(x)))
        x = x + 0.5 * drop(self.feed_forward(self.norm_ff(x)))
        out: Tensor = self.norm_final(x)
        return out


class Encoder(nn.Module):
    """A front end (…) → (B, T, F), then layers → (B, T, D)."""

    def __init__(
        self,
        frontend: nn.Module,
        features: int,
        width: int,
        heads: int,
        feedforward: int,
        layers: int,
        kernel: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.frontend = frontend
        self.embed = nn.Sequential(nn.Linear(features, width))
        self.encoders: Sequence[Layer] = nn.ModuleList(  # type: ignore[assignment]
            Layer(width, heads, feedforward, kernel, dropout) for _ in range(layers)
        )
        self.after_norm = layer_norm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, given: Tensor, inside: Tensor | None) -> Tensor:
        """inside: (B, T) bool, False behind a clip's end; None where none is padded."""
        return self.encode(self.frontend(given), inside)

    def encode(self, features: Tensor, inside: Tensor | None) -> Tensor:
        """(B, T, F) → (B, T, D)"""
        x = self.embed(features)
        frames = x.shape[1]
        distances = self.dropout(sinusoids(torch.arange(frames - 1, -frames, -1), x))
        x = self.dropout(x * math.sqrt(x.shape[-1]))
        for layer in self.encoders:
            x = layer(x, distances, inside)
        out: Tensor = self.after_norm(x)
        return out
