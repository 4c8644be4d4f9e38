"""The two attentions of the biased causal decoder: over its own past, and over the memory that each frame owns.

Parameters have the names, shapes and initialisation of `torch.nn.MultiheadAttention`, so that published checkpoints
load as they are. Shapes: B clips, Q new frames, K frames so far, T frames, S memory steps, d channels, H heads,
e = d/H channels per head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FOLDED_FRAMES = 256
"""Up to which a clip's memory is multiplied out for its steps: the tables take 8·d numbers a frame and layer."""


class KeyValueCache:
    """Keys and values of the frames so far, for one layer.

    Where gradients are recorded, every step makes new tensors (a tensor that autograd still needs must not change);
    otherwise room for `frames` is taken at first and filled in place, and twice as much whenever it is full.
    """

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self.used = 0
        self._room: Tensor | None = None

    def append(self, keys_values: Tensor) -> Tensor:
        """(2, B, H, Q, e) of the new frames → (2, B, H, K, e) of all frames so far."""
        before, self.used = self.used, self.used + keys_values.shape[3]
        if torch.is_grad_enabled():
            self._room = keys_values if self._room is None else torch.cat((self._room, keys_values), dim=3)
            return self._room
        room = self._room = self._widened(keys_values, before)
        room[:, :, :, before : self.used] = keys_values
        return room[:, :, :, : self.used]

    def _widened(self, keys_values: Tensor, before: int) -> Tensor:
        """Room for all that is used now, with what was used before."""
        if self._room is not None and self.used <= self._room.shape[3]:
            return self._room
        two, batch, heads, _, width = keys_values.shape
        least = self.frames if self._room is None else 2 * self._room.shape[3]
        room = keys_values.new_empty(two, batch, heads, max(least, self.used), width)
        if self._room is not None:
            room[:, :, :, :before] = self._room[:, :, :, :before]
        return room

    def keep(self, items: Sequence[int]) -> None:
        """Go on with these items of the batch, in this order."""
        if self._room is not None:
            self._room = self._room[:, items]


class PackedAttention(nn.Module):
    """Projections of multi-head attention, rows of the input projection packed as query, key, value."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def project(self, x: Tensor, first: int, last: int) -> Tensor:
        """(B, X, d) → (last − first, B, H, X, e): parts `first` to `last` of (query, key, value)."""
        dim = x.shape[-1]
        rows = slice(first * dim, last * dim)
        packed = F.linear(x, self.in_proj_weight[rows], self.in_proj_bias[rows])
        return packed.view(*x.shape[:2], last - first, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)

    def merge(self, attended: Tensor) -> Tensor:
        """(B, H, Q, e) → (B, Q, d), through the output projection."""
        joined: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return joined


class BiasedSelfAttention(PackedAttention):
    """Causal self-attention with a bias per head that grows with the distance in whole periods."""

    def forward(self, u: Tensor, bias: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """(B, Q, d) → (B, Q, d).

        bias: (1, H, Q, K). cache: the frames before u; without one, u is all there is and K = Q.
        """
        projected = self.project(u, 0, 3)
        query, keys_values = projected[0], projected[1:]
        keys, values = cache.append(keys_values) if cache is not None else keys_values
        dropout = self.dropout if self.training else 0.0
        # A mask of another dtype than the query gives wrong numbers without a word in some releases of torch.
        bias = bias.to(query.dtype)
        return self.merge(F.scaled_dot_product_attention(query, keys, values, attn_mask=bias, dropout_p=dropout))


class Lookup(Protocol):
    """What frames see of their memory, prepared for a whole clip."""

    def __call__(self, queries: Tensor, frames: slice) -> Tensor:
        """The cross-attention's output (B, Q, d) for these frames, whose tokens are `queries` (B, Q, d)."""
        ...

    def keep(self, items: Sequence[int]) -> None:
        """Go on with these items of the batch, in this order; an item may be taken several times."""
        ...


class AlignedCrossAttention(PackedAttention):
    """Cross-attention in which frame i sees only the `per_frame` (1 or 2) memory steps that it owns."""

    def __init__(self, dim: int, heads: int, dropout: float, per_frame: int) -> None:
        super().__init__(dim, heads, dropout)
        self.per_frame = per_frame

    def prepare(self, memory: Tensor) -> Lookup:
        """(B, S, d) → the lookup of its S // per_frame frames. A batch of one serves queries of any batch size."""
        return _OwnStep(self, memory) if self.per_frame == 1 else _OwnPair(self, memory)

    def prepare_steps(self, memory: Tensor) -> Lookup:
        """As `prepare`, for frames that are asked for one by one, as often as there are."""
        alone = len(memory) == 1 and memory.shape[1] <= 2 * FOLDED_FRAMES
        if self.per_frame == 2 and alone and not (self.training or torch.is_grad_enabled()):
            return _FoldedPair(self, memory)
        return self.prepare(memory)

    def project_pairs(self, memory: Tensor) -> Tensor:
        """(B, S, d) → keys and values (2, B, H, S // 2, 2, e); an odd last step belongs to no frame."""
        pairs = memory.shape[1] // 2
        projected = self.project(memory[:, : 2 * pairs], 1, 3)
        return projected.reshape(*projected.shape[:3], pairs, 2, projected.shape[-1])

    def drop(self, weights: Tensor) -> Tensor:
        """Dropout as it acts on attention weights."""
        return F.dropout(weights, self.dropout, self.training)


class _OwnStep:
    """One visible step: the softmax over it is 1, so the output is W_o(W_v·memory) whatever the query says.

    In training, attention dropout still acts on that single weight, per frame and head.
    """

    def __init__(self, attention: AlignedCrossAttention, memory: Tensor) -> None:
        values = attention.project(memory, 2, 3)[0]
        weights = attention.drop(values.new_ones(*values.shape[:-1], 1))
        self.seen = attention.merge(weights * values)

    def __call__(self, queries: Tensor, frames: slice) -> Tensor:
        return self.seen[:, frames]

    def keep(self, items: Sequence[int]) -> None:
        self.seen = self.seen[items]


class _OwnPair:
    """Two visible steps: the softmax is a sigmoid of the difference of their scores, per head."""

    def __init__(self, attention: AlignedCrossAttention, memory: Tensor) -> None:
        keys, values = attention.project_pairs(memory)
        self.attention = attention
        self.key_difference = (keys[..., 0, :] - keys[..., 1, :]) * keys.shape[-1] ** -0.5
        self.values = values

    def __call__(self, queries: Tensor, frames: slice) -> Tensor:
        query = self.attention.project(queries, 0, 1)[0]
        first = torch.sigmoid((query * self.key_difference[:, :, frames]).sum(-1))
        weights = self.attention.drop(torch.stack((first, 1 - first), dim=-1))
        return self.attention.merge((weights[..., None] * self.values[:, :, frames]).sum(-2))

    def keep(self, items: Sequence[int]) -> None:
        self.key_difference, self.values = self.key_difference[items], self.values[items]


class _FoldedPair:
    """As `_OwnPair`, with the projections of query and output multiplied into the memory beforehand.

    A frame's score is z·(W_qᵀΔk) + b_q·Δk and what it sees W_o·v_2 + Σ share·(W_oΔv), over heads. A single frame of a
    single clip waits for weights to be read, and these two matrices are then not among them. For one memory, which
    serves any number of tokens.
    """

    def __init__(self, attention: AlignedCrossAttention, memory: Tensor) -> None:
        keys, values = attention.project_pairs(memory)  # (1, H, T, 2, e) each
        dim, heads, width = memory.shape[-1], keys.shape[1], keys.shape[-1]
        difference = (keys[..., 0, :] - keys[..., 1, :]) * width**-0.5
        weight, bias = attention.in_proj_weight[:dim], attention.in_proj_bias[:dim]
        self.asked = (difference @ weight.view(heads, width, dim)).transpose(1, 2).contiguous()  # (1, T, H, d)
        self.offset = (difference * bias.view(heads, 1, width)).sum(-1).transpose(1, 2)  # (1, T, H)
        outward = attention.out_proj.weight.view(dim, heads, width).permute(1, 2, 0)
        self.gained = ((values[..., 0, :] - values[..., 1, :]) @ outward).transpose(1, 2).contiguous()
        self.second = attention.merge(values[..., 1, :])  # (1, T, d)

    def __call__(self, queries: Tensor, frames: slice) -> Tensor:
        scores = (queries[:, :, None] * self.asked[:, frames]).sum(-1) + self.offset[:, frames]
        return self.second[:, frames] + (torch.sigmoid(scores)[..., None] * self.gained[:, frames]).sum(-2)

    def keep(self, items: Sequence[int]) -> None:
        """All items see the one memory."""
