"""The two attentions of FaceTalk's denoiser: over the motion up to a frame, and over the sound around it.

Frame i hears the frames j of the sound with |i − j| ≤ m. With m = 0, as published, every softmax is over one key and
is 1, so that what is heard is a linear map of the sound: it hangs neither on the motion nor on the noise, and is
computed once for all steps of a sampler. Shapes: B rows, T frames, d channels, H heads, e = d/H.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import PackedAttention


class CausalAttention(PackedAttention):
    """Self-attention in which frame i sees frames 0 … i, or the last `look_back` of them.

    What is padded at the end is seen by no frame of a clip, so nothing needs to be masked for it.
    """

    def __init__(self, dim: int, heads: int, dropout: float, look_back: int) -> None:
        super().__init__(dim, heads, dropout)
        self.look_back = look_back

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, d) → (B, T, d)"""
        query, keys, values = self.project(x, 0, 3)
        dropout = self.dropout if self.training else 0.0
        frames = x.shape[1]
        if not 0 < self.look_back < frames:
            return self.merge(F.scaled_dot_product_attention(query, keys, values, dropout_p=dropout, is_causal=True))
        back = torch.arange(frames, device=x.device)[:, None] - torch.arange(frames, device=x.device)
        seen = (back >= 0) & (back < self.look_back)
        return self.merge(F.scaled_dot_product_attention(query, keys, values, attn_mask=seen, dropout_p=dropout))


class Heard(Protocol):
    """What the frames of some rows hear of their sound, prepared for any number of steps."""

    def __call__(self, x: Tensor) -> Tensor:
        """Motion (B, T, d) → what it hears, (B, T, d) or what broadcasts to it."""
        ...


class AudioAttention(PackedAttention):
    """Cross-attention to the sound of the frames around one's own, `reach` to either side."""

    def __init__(self, dim: int, heads: int, dropout: float, reach: int) -> None:
        super().__init__(dim, heads, dropout)
        self.reach = reach
        self.norm = nn.LayerNorm(dim)

    def prepare(self, audio: Tensor, inside: Tensor | None = None) -> Heard:
        """audio: (B, T, d), one step a frame. inside: (B, T) bool, False behind a clip's end; None: none is padded."""
        if self.reach:
            return _Around(self, audio, inside)
        return _Own(self, audio)

    def prepare_alike(self, audio: Tensor) -> Heard:
        """Sound that is the same in all frames, (d,): whatever weights a softmax gives, they add up to 1."""
        return _Own(self, audio[None, None])

    def plain(self, x: Tensor, audio: Tensor, inside: Tensor | None = None) -> Tensor:
        """The definition, for any reach: (B, T, d), (B, T, d) → (B, T, d)."""
        return _Around(self, audio, inside)(x)


class _Own:
    """One visible step. In training, dropout still acts on its weight, per frame and head."""

    def __init__(self, attention: AudioAttention, audio: Tensor) -> None:
        values = attention.project(audio, 2, 3)[0]
        if attention.training and attention.dropout:
            values = values * F.dropout(values.new_ones(*values.shape[:-1], 1), attention.dropout)
        self.seen = attention.merge(values)

    def __call__(self, x: Tensor) -> Tensor:
        return self.seen


class _Around:
    """Keys and values of all steps, and a mask of those that a frame hears."""

    def __init__(self, attention: AudioAttention, audio: Tensor, inside: Tensor | None) -> None:
        self.attention = attention
        self.keys, self.values = attention.project(audio, 1, 3)
        frame = torch.arange(audio.shape[1], device=audio.device)
        apart = (frame[:, None] - frame).abs()
        self.seen = apart <= attention.reach
        if inside is not None:
            # Behind a clip's end a frame still hears itself: a softmax over nothing is no number.
            self.seen = ((inside[:, None] | (apart == 0)) & self.seen)[:, None]

    def __call__(self, x: Tensor) -> Tensor:
        attention = self.attention
        query = attention.project(attention.norm(x), 0, 1)[0]
        dropout = attention.dropout if attention.training else 0.0
        found = F.scaled_dot_product_attention(query, self.keys, self.values, attn_mask=self.seen, dropout_p=dropout)
        return attention.merge(found)
