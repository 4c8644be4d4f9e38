"""The prior's transformer with frames as columns instead of rows: the quicker form for few frames on a processor.

BLAS gets through a large weight fastest as W·X, X some multiple of 16 columns wide; as X·Wᵀ, the usual, a few dozen
frames cost it up to a third more. The same numbers to rounding, for eval mode and without gradients. Shapes: B clips,
P frames, N = B·P columns, h channels, H heads, e = h/H.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.codetalker_vq.blocks import Attention, FeedForward, Residual

FEW = range(3, 129)
"""Numbers of columns for which this form is the quicker one, at the published sizes."""
EVEN = 16


def quicker(x: Tensor) -> bool:
    """Whether to take this form for (B, P, h)."""
    return x.device.type == "cpu" and x.shape[0] * x.shape[1] in FEW


def through(layers: Sequence[Residual], x: Tensor) -> Tensor:
    """(B, P, h) → (B, P, h) through attention and feed-forward in turn."""
    batch, frames, dim = x.shape
    count = batch * frames
    columns = x.new_zeros(dim, count + -count % EVEN)
    columns[:, :count] = x.reshape(count, dim).T
    for layer in layers:
        norm, part = layer.fn["norm"], layer.fn["fn"]
        assert isinstance(norm, nn.LayerNorm)
        normal = _normalised(columns, norm)
        if isinstance(part, Attention):
            _attend(part, normal, columns, batch, frames)
        elif isinstance(part, FeedForward):
            wide = (part.l1.weight @ normal).add_(part.l1.bias[:, None])
            _add(columns, part.l2, F.gelu(wide, approximate="tanh"))
    return columns[:, :count].T.reshape(x.shape)


def _normalised(columns: Tensor, norm: nn.LayerNorm) -> Tensor:
    centred = columns - columns.mean(0)
    scale = centred.square().mean(0).add_(norm.eps).rsqrt_()
    return centred.mul_(scale).mul_(norm.weight[:, None]).add_(norm.bias[:, None])


def _attend(part: Attention, normal: Tensor, columns: Tensor, batch: int, frames: int) -> None:
    """Adds to `columns`."""
    count = batch * frames
    projected = (part.to_qkv.weight @ normal)[:, :count].unflatten(1, (batch, frames))
    # (B·H, e, P) each
    query, keys, values = projected.unflatten(0, (3, part.heads, -1)).permute(0, 3, 1, 2, 4).flatten(1, 2)
    shares = (torch.bmm(query.transpose(1, 2), keys) * part.scale).softmax(-1)
    seen = torch.bmm(values, shares.transpose(1, 2)).unflatten(0, (batch, -1))  # (B, H, e, P)
    merged = torch.zeros_like(columns)
    merged[:, :count] = seen.permute(1, 2, 0, 3).reshape(-1, count)
    _add(columns, part.to_out, merged)


def _add(columns: Tensor, layer: nn.Linear, x: Tensor) -> None:
    columns.add_(layer.bias[:, None]).addmm_(layer.weight, x)
