"""Multi-head attention as Auto-AVSR's files name its parts, and with relative positions for the conformer.

Shapes: B clips, T frames (queries), S steps (keys), D channels, H heads, e = D/H channels per head.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 256
"""Queries whose scores are looked at together: what a long clip takes grows with its length, not with its square."""


class Attention(nn.Module):
    """Four projections and the softmax between them."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.linear_q = nn.Linear(width, width)
        self.linear_k = nn.Linear(width, width)
        self.linear_v = nn.Linear(width, width)
        self.linear_out = nn.Linear(width, width)

    def split(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, H, T, e)"""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys_values(self, memory: Tensor) -> Tensor:
        """(B, S, D) → (2, B, H, S, e)"""
        return torch.stack((self.split(self.linear_k(memory)), self.split(self.linear_v(memory))))

    def forward(self, x: Tensor, keys_values: Tensor, inside: Tensor | None = None, *, causal: bool = False) -> Tensor:
        """(B, T, D) → (B, T, D). inside: (B, S) bool, False behind a clip's end. causal: none sees a later one."""
        keys, values = keys_values
        seen = None if inside is None else inside[:, None, None]
        found = F.scaled_dot_product_attention(
            self.split(self.linear_q(x)), keys, values, attn_mask=seen, dropout_p=self.drop, is_causal=causal
        )
        return self.merge(found)

    def merge(self, found: Tensor) -> Tensor:
        """(B, H, T, e) → (B, T, D)"""
        out: Tensor = self.linear_out(found.transpose(1, 2).flatten(2))
        return out

    @property
    def drop(self) -> float:
        """Dropout as it acts on attention weights now."""
        return self.dropout if self.training else 0.0


class RelativeAttention(Attention):
    """Self-attention whose scores are ((q_i + u)·k_j + (q_i + v)·p_(i−j)) / √e (Dai et al., Transformer-XL, ACL 2019).

    p_r is a projection of the sinusoids of the signed distance r. Of the table of all pairs and channels, (T, T, D),
    only the products with the 2 T − 1 distances are ever made, for some queries at a time.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__(width, heads, dropout)
        self.linear_pos = nn.Linear(width, width, bias=False)
        self.pos_bias_u = nn.Parameter(torch.empty(heads, width // heads))
        self.pos_bias_v = nn.Parameter(torch.empty(heads, width // heads))
        nn.init.xavier_uniform_(self.pos_bias_u)
        nn.init.xavier_uniform_(self.pos_bias_v)

    def attend(self, x: Tensor, distances: Tensor, inside: Tensor | None) -> Tensor:
        """(B, T, D) → (B, T, D). distances: sinusoids of T − 1, T − 2, …, −(T − 1), (2 T − 1, D). inside: (B, T) bool,
        False behind a clip's end."""
        frames = x.shape[1]
        query = self.split(self.linear_q(x))
        keys, values = self.keys_values(x)
        places = self.split(self.linear_pos(distances)[None])[0]  # (H, 2 T − 1, e)
        from_content = query + self.pos_bias_u[:, None]
        from_place = (query + self.pos_bias_v[:, None]) * query.shape[-1] ** -0.5
        found = []
        for start in range(0, frames, BLOCK):
            end = min(start + BLOCK, frames)
            near = places[:, frames - end : 2 * frames - 1 - start]  # distances end − 1 … start − (T − 1)
            bias = by_pair(from_place[:, :, start:end] @ near.transpose(1, 2), frames)
            if inside is not None:
                bias = bias.masked_fill(~inside[:, None, None], -torch.inf)
            own = from_content[:, :, start:end]
            found.append(F.scaled_dot_product_attention(own, keys, values, attn_mask=bias, dropout_p=self.drop))
        return self.merge(torch.cat(found, dim=2))


def by_pair(scores: Tensor, frames: int) -> Tensor:
    """Scores by distance → scores by key: (…, Q, Q + T − 1) → (…, Q, T).

    The columns are of falling distances, the first that of the last query from the first key, so that row a holds its
    T keys from column Q − 1 − a on: in the flat array, each row's beginning is one place nearer to the one before.
    """
    queries, distances = scores.shape[-2:]
    if queries == 1:
        return scores  # by key already, and a row is too short for what follows
    flat = scores.flatten(-2)[..., queries - 1 : queries * distances - 1]
    return flat.unflatten(-1, (queries, distances - 1))[..., :frames]
