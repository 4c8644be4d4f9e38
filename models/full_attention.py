"""Transformer layers in which every step sees every other: post-norm, ReLU, under the names of `torch.nn`.

As Vaswani et al. (NeurIPS 2017) have them. No scores of pairs of steps are kept, so that memory grows with a clip's
length and not with its square. Shapes: B clips, T steps, S memory steps, d channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import PackedAttention
from models.padding import Padding


class FullAttention(PackedAttention):
    """Attention without a mask, but for what lies behind a clip's end."""

    def forward(self, x: Tensor, memory: Tensor, inside: Tensor | None) -> Tensor:
        """(B, T, d), (B, S, d) → (B, T, d). inside: (B, S) bool, False behind a clip's end; None: nothing is padded."""
        if memory is x:
            query, keys, values = self.project(x, 0, 3)
        else:
            query, (keys, values) = self.project(x, 0, 1)[0], self.project(memory, 1, 3)
        seen = None if inside is None else inside[:, None, None]
        dropout = self.dropout if self.training else 0.0
        return self.merge(F.scaled_dot_product_attention(query, keys, values, attn_mask=seen, dropout_p=dropout))


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward; each added, then normalised."""

    worth_compiling: ClassVar[bool] = True

    def __init__(self, dim: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = FullAttention(dim, heads, dropout)
        self.linear1 = nn.Linear(dim, feedforward)
        self.linear2 = nn.Linear(feedforward, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, inside: Tensor | None) -> Tensor:
        """(B, T, d) → (B, T, d)"""
        drop = self.dropout
        x = self.norm1(x + drop(self.self_attn(x, x, inside)))
        out: Tensor = self.norm2(x + drop(self.linear2(drop(F.relu(self.linear1(x))))))
        return out


class DecoderLayer(nn.Module):
    """Self-attention, attention to a memory, feed-forward; each added, then normalised."""

    worth_compiling: ClassVar[bool] = True

    def __init__(self, dim: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = FullAttention(dim, heads, dropout)
        self.multihead_attn = FullAttention(dim, heads, dropout)
        self.linear1 = nn.Linear(dim, feedforward)
        self.linear2 = nn.Linear(feedforward, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, memory: Tensor, inside: Tensor | None) -> Tensor:
        """(B, T, d) and a memory of as many steps → (B, T, d)"""
        drop = self.dropout
        x = self.norm1(x + drop(self.self_attn(x, x, inside)))
        x = self.norm2(x + drop(self.multihead_attn(x, memory, inside)))
        out: Tensor = self.norm3(x + drop(self.linear2(drop(F.relu(self.linear1(x))))))
        return out


class Encoder(nn.Module):
    """Layers, then a norm."""

    def __init__(self, dim: int, heads: int, feedforward: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.layers: Sequence[EncoderLayer] = nn.ModuleList(  # type: ignore[assignment]
            EncoderLayer(dim, heads, feedforward, dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, inside: Tensor | None) -> Tensor:
        """(B, T, d) → (B, T, d)"""
        for layer in self.layers:
            x = layer(x, inside)
        out: Tensor = self.norm(x)
        return out


class Decoder(nn.Module):
    """Layers, then a norm if `normed`."""

    def __init__(
        self, dim: int, heads: int, feedforward: int, layers: int, dropout: float, *, normed: bool = True
    ) -> None:
        super().__init__()
        self.layers: Sequence[DecoderLayer] = nn.ModuleList(  # type: ignore[assignment]
            DecoderLayer(dim, heads, feedforward, dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(dim) if normed else None

    def forward(self, x: Tensor, memory: Tensor, inside: Tensor | None) -> Tensor:
        """(B, T, d) and a memory of as many steps → (B, T, d)"""
        for layer in self.layers:
            x = layer(x, memory, inside)
        return x if self.norm is None else self.norm(x)


def inside_of(lengths: Sequence[int], steps: int, device: torch.device) -> Tensor | None:
    """(B, S) bool: which of a padded batch's steps are a clip's own. None where no clip is shorter, which is faster."""
    padding = Padding.of(lengths, steps, device)
    return None if padding is None else padding.inside
