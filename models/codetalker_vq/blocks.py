"""The parts that CodeTalker's encoder and decoder share: convolution over time and the transformer of whole clips.

Both see a clip from end to end, so a padded batch carries a `Padding` along. Names of parameters are the released
ones. Shapes: B clips, T frames, h channels, H heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.padding import Padding
from models.positions import periodic_encoding

EPS = 1e-5
"""Of the instance norm. Real motion is small: the variance of its channels is comparable to this."""
REACH = 2
"""Frames that the convolution sees to either side."""


class Convolution(nn.Sequential):
    """Five frames wide with the edges replicated, leaky rectifier, then instance norm over time."""

    def __init__(self, dim: int, negative_slope: float) -> None:
        super().__init__(nn.Conv1d(dim, dim, 2 * REACH + 1))
        self.negative_slope = negative_slope

    def forward(self, x: Tensor, padding: Padding | None = None) -> Tensor:
        """(B, T, h) → (B, T, h), T at least 2."""
        convolved = self[0](replicate_ends(x, padding).transpose(1, 2))  # (B, h, T)
        convolved = F.leaky_relu(convolved, self.negative_slope)
        return normalise(convolved.float(), padding).transpose(1, 2)


def replicate_ends(x: Tensor, padding: Padding | None) -> Tensor:
    """(B, T, h) → (B, T + 4, h): each clip's first and last frame stand twice more at its own ends."""
    if padding is None:
        last = x[:, -1:]
    else:
        last = padding.last(x)
        x = x.where(padding.inside[..., None], last)
    return torch.cat((x[:, :1].expand(-1, REACH, -1), x, last.expand(-1, REACH, -1)), dim=1)


def normalise(x: Tensor, padding: Padding | None) -> Tensor:
    """(x − mean)/√(var + eps) of each clip and channel over its own frames, population variance. (B, h, T)"""
    if padding is None:
        return F.instance_norm(x, eps=EPS)
    inside, count = padding.inside[:, None], padding.lengths[:, None, None]
    centred = x - x.where(inside, 0.0).sum(-1, keepdim=True) / count
    variance = centred.where(inside, 0.0).square().sum(-1, keepdim=True) / count
    return centred * (variance + EPS).rsqrt()


class LinearEmbedding(nn.Module):
    """A linear layer under its released name, `….net`."""

    def __init__(self, inward: int, outward: int) -> None:
        super().__init__()
        self.net = nn.Linear(inward, outward)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)
        return out


class Attention(nn.Module):
    """Every frame sees every frame. Scores are scaled by the whole width, h^-0.5, not by a head's."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = dim**-0.5
        self.to_qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.to_out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, h) → (B, T, h). mask: (B, 1, 1, T) bool, True for keys that may be seen."""
        query, key, value = self.to_qkv(x).view(*x.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=self.scale)
        out: Tensor = self.to_out(seen.transpose(1, 2).flatten(2))
        return out


class FeedForward(nn.Module):
    """Two layers around a gelu in its tanh form."""

    def __init__(self, dim: int, wide: int) -> None:
        super().__init__()
        self.l1 = nn.Linear(dim, wide)
        self.l2 = nn.Linear(wide, dim)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(…, h) → (…, h)"""
        out: Tensor = self.l2(F.gelu(self.l1(x), approximate="tanh"))
        return out


class Residual(nn.Module):
    """x + part(LN(x)), under the released names `fn.norm` and `fn.fn`."""

    worth_compiling: ClassVar[bool] = True

    def __init__(self, dim: int, part: Attention | FeedForward) -> None:
        super().__init__()
        self.fn = nn.ModuleDict({"norm": nn.LayerNorm(dim), "fn": part})

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        out: Tensor = x + self.fn["fn"](self.fn["norm"](x), mask)
        return out


class BlockTransformer(nn.Module):
    """Pre-norm layers without a final norm: `net` holds attention and feed-forward in turn."""

    def __init__(self, dim: int, heads: int, wide: int, layers: int) -> None:
        super().__init__()
        parts = [part for _ in range(layers) for part in (Attention(dim, heads), FeedForward(dim, wide))]
        self.net: Sequence[Residual] = nn.ModuleList(Residual(dim, part) for part in parts)  # type: ignore[assignment]

    def forward(self, x: Tensor, padding: Padding | None = None) -> Tensor:
        """(B, T, h) → (B, T, h)"""
        mask = None if padding is None else padding.inside[:, None, None]
        for part in self.net:
            x = part(x, mask)
        return x


class Entrance(nn.Module):
    """What is added before a transformer: the position table's row 0, and dropout in training.

    The released table is indexed by the clip's place in the batch instead of by time, and batches were of one clip, so
    every frame of every clip gets row 0: zero in even columns, one in odd ones.
    """

    row: Tensor

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("row", periodic_encoding(1, dim, 1)[0], persistent=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, h) → (B, T, h)"""
        out: Tensor = self.dropout(x + self.row)
        return out
