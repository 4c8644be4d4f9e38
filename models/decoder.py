"""The biased causal transformer decoder of FaceFormer (Fan et al., CVPR 2022) and of its successors.

Post-norm layers with ReLU and no final norm. One module, two forms that give the same numbers: `forward` sees a whole
sequence (teacher forcing), `begin` returns a `Decoding` that takes one frame at a time and keeps keys and values, so
that a clip costs linear instead of quadratic work. Names are those of `torch.nn.TransformerDecoder`. Shapes: B clips,
T frames, S = T·per_frame memory steps, d channels, H heads.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import AlignedCrossAttention, BiasedSelfAttention, KeyValueCache, Lookup
from models.positions import period_penalty, temporal_bias


class DecoderLayer(nn.Module):
    """Self-attention over the past, cross-attention to the own memory, feed-forward; each added, then normalised."""

    def __init__(self, dim: int, heads: int, feedforward: int, per_frame: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = BiasedSelfAttention(dim, heads, dropout)
        self.multihead_attn = AlignedCrossAttention(dim, heads, dropout, per_frame)
        self.linear1 = nn.Linear(dim, feedforward)
        self.linear2 = nn.Linear(feedforward, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, u: Tensor, bias: Tensor, lookup: Lookup, frames: slice, cache: KeyValueCache | None = None
    ) -> Tensor:
        """(B, Q, d) → (B, Q, d) for the Q new frames in `frames`. bias: (1, H, Q, K), K frames so far."""
        drop = self.dropout
        z1 = self.norm1(u + drop(self.self_attn(u, bias, cache)))
        z2 = self.norm2(z1 + drop(lookup(z1, frames)))
        widened = drop(F.relu(self.linear1(z2)))
        out: Tensor = self.norm3(z2 + drop(self.linear2(widened)))
        return out


class BiasedDecoder(nn.Module):
    """A stack of decoder layers with the temporal bias and the alignment of memory to frames built in.

    Arguments:
        dim, heads, feedforward, layers: d, H, width of the feed-forward part, number of layers.
        period: p of the temporal bias, in frames.
        per_frame: memory steps that a frame owns, 1 or 2.
        dropout: of attention weights and of every sublayer.
    """

    def __init__(
        self, *, dim: int, heads: int, feedforward: int, layers: int, period: int, per_frame: int, dropout: float
    ) -> None:
        super().__init__()
        self.heads = heads
        self.period = period
        self.per_frame = per_frame
        self.layers: Sequence[DecoderLayer] = nn.ModuleList(  # type: ignore[assignment]
            DecoderLayer(dim, heads, feedforward, per_frame, dropout) for _ in range(layers)
        )

    def forward(self, tokens: Tensor, memory: Tensor) -> Tensor:
        """(B, T, d), (B or 1, S, d) → (B, T, d): frame i from tokens 0…i and from the memory that it owns."""
        length = tokens.shape[1]
        bias = temporal_bias(length, self.heads, self.period, tokens.device)[None]
        for layer in self.layers:
            tokens = layer(tokens, bias, layer.multihead_attn.prepare(memory), slice(length))
        return tokens

    def begin(self, memory: Tensor) -> Decoding:
        """Start decoding frame by frame. memory: (B, S, d), or (1, S, d) for tokens of any batch size."""
        return Decoding(self, memory)


class Decoding:
    """One run through a clip, frame by frame: what does not depend on the tokens is computed beforehand.

    The memory may come in parts (`extend`), so that a clip can be decoded whose end nobody knows yet.
    """

    def __init__(self, decoder: BiasedDecoder, memory: Tensor) -> None:
        self._decoder = decoder
        self.frames = self._start = self._next = 0
        self._lookups: list[Lookup] = []
        self._penalty = memory.new_empty(0)
        self.extend(memory)
        self._caches = [KeyValueCache(self.frames) for _ in decoder.layers]

    def extend(self, memory: Tensor) -> None:
        """Go on with the memory (B, n·per_frame, d) of the n frames that follow. All before must have been decoded."""
        if self._next != self.frames:
            raise ValueError(f"frames {self._next} to {self.frames} are still to be decoded")
        self._start = self._next
        self.frames += memory.shape[1] // self._decoder.per_frame
        self._lookups = [layer.multihead_attn.prepare_steps(memory) for layer in self._decoder.layers]
        if self.frames > self._penalty.shape[-1]:
            room = max(self.frames, 2 * self._penalty.shape[-1])
            penalty = period_penalty(room, self._decoder.heads, self._decoder.period, memory.device)
            # Reversed, the bias of frame i towards frames 0…i is a slice: the last i + 1 entries.
            self._penalty = penalty.flip(1)[None, :, None]

    def step(self, token: Tensor) -> Tensor:
        """(B, 1, d) token of the next frame → (B, 1, d)."""
        i, self._next = self._next, self._next + 1
        bias = self._penalty[..., self._penalty.shape[-1] - 1 - i :]
        own = slice(i - self._start, i - self._start + 1)
        for layer, lookup, cache in zip(self._decoder.layers, self._lookups, self._caches, strict=True):
            token = layer(token, bias, lookup, own, cache)
        return token

    def keep(self, items: Sequence[int]) -> None:
        """Go on with these items of the batch, in this order: some have ended, or several share a memory."""
        for lookup, cache in zip(self._lookups, self._caches, strict=True):
            lookup.keep(items)
            cache.keep(items)
