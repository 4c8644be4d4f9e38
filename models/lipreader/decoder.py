"""The attention head: a transformer decoder (Vaswani et al., NeurIPS 2017) that writes text from a clip's features.

Norms before each part. Shapes: B clips, T frames, L pieces, D channels, V classes, N hypotheses of one clip.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.lipreader.attention import Attention
from models.lipreader.conformer import FeedForward, layer_norm
from models.lipreader.positions import sinusoids


class Past:
    """Keys and values of the pieces so far, of one layer and all hypotheses: (2, N, H, L, e)."""

    def __init__(self) -> None:
        self._seen: Tensor | None = None

    def append(self, keys_values: Tensor) -> Tensor:
        """Those of the new piece → all."""
        self._seen = keys_values if self._seen is None else torch.cat((self._seen, keys_values), dim=3)
        return self._seen

    def keep(self, hypotheses: Tensor) -> None:
        if self._seen is not None:
            self._seen = self._seen.index_select(1, hypotheses)


class Layer(nn.Module):
    """Attention to the text so far, attention to the clip, feed-forward part."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads, dropout)
        self.src_attn = Attention(width, heads, dropout)
        self.feed_forward = FeedForward(width, feedforward, dropout)
        self.norm1 = layer_norm(width)
        self.norm2 = layer_norm(width)
        self.norm3 = layer_norm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, memory: Tensor, inside: Tensor | None) -> Tensor:
        """(B, L, D) and the features (B, T, D) → (B, L, D)"""
        y = self.norm1(x)
        x = x + self.dropout(self.self_attn(y, self.self_attn.keys_values(y), causal=True))
        x = x + self.dropout(self.src_attn(self.norm2(x), self.src_attn.keys_values(memory), inside))
        out: Tensor = x + self.dropout(self.feed_forward(self.norm3(x)))
        return out

    def step(self, x: Tensor, seen: Tensor, past: Past) -> Tensor:
        """One piece of each hypothesis, (N, 1, D) → (N, 1, D). seen: keys and values of the one clip."""
        y = self.norm1(x)
        x = x + self.self_attn(y, past.append(self.self_attn.keys_values(y)))
        # To the clip, hypotheses are so many queries of one sequence.
        x = x + self.src_attn(self.norm2(x).transpose(0, 1), seen).transpose(0, 1)
        out: Tensor = x + self.feed_forward(self.norm3(x))
        return out


class Written:
    """What the decoder keeps of the texts so far: nothing is computed twice. All have the same length."""

    def __init__(self, seen: Sequence[Tensor]) -> None:
        self.seen, self.pasts, self.length = seen, [Past() for _ in seen], 0

    def keep(self, hypotheses: Tensor) -> None:
        """Go on with these hypotheses (N,) int64, in this order; one may be taken several times."""
        for past in self.pasts:
            past.keep(hypotheses)


class Decoder(nn.Module):
    """Pieces so far → scores of the next one."""

    def __init__(self, classes: int, width: int, heads: int, feedforward: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Embedding(classes, width))
        self.decoders: Sequence[Layer] = nn.ModuleList(  # type: ignore[assignment]
            Layer(width, heads, feedforward, dropout) for _ in range(layers)
        )
        self.after_norm = layer_norm(width)
        self.output_layer = nn.Linear(width, classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, pieces: Tensor, memory: Tensor, inside: Tensor | None) -> Tensor:
        """(B, L) int64, the first the one that begins a text, and features (B, T, D) → logits (B, L, V).

        inside: (B, T) bool, False behind a clip's end.
        """
        x = self._embedded(pieces, torch.arange(pieces.shape[1]))
        for layer in self.decoders:
            x = layer(x, memory, inside)
        return self._scored(x)

    def begin(self, memory: Tensor) -> Written:
        """Features (T, D) of one clip → the state before its first piece."""
        return Written([layer.src_attn.keys_values(memory[None]) for layer in self.decoders])

    def step(self, written: Written, last: Tensor) -> Tensor:
        """Each hypothesis's last piece, (N,) int64 → logits of the next one, (N, V). Meant for eval mode."""
        x = self._embedded(last[:, None], torch.tensor([written.length]))
        written.length += 1
        for layer, seen, past in zip(self.decoders, written.seen, written.pasts, strict=True):
            x = layer.step(x, seen, past)
        return self._scored(x)[:, 0]

    def _embedded(self, pieces: Tensor, places: Tensor) -> Tensor:
        x = self.embed(pieces)
        out: Tensor = self.dropout(x * math.sqrt(x.shape[-1]) + sinusoids(places, x))
        return out

    def _scored(self, x: Tensor) -> Tensor:
        logits: Tensor = self.output_layer(self.after_norm(x))
        return logits
