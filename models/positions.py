"""Positions and attention biases of the biased causal decoder (Fan et al., FaceFormer, CVPR 2022).

Everything is a formula of the frame number, so that no table limits a clip's length. Shapes: T queries or frames,
S memory steps, d channels, H heads, p period in frames.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def periodic_encoding(length: int, dim: int, period: int, device: Any = None) -> Tensor:
    """(length, d) sinusoids that repeat every p rows: sin in even columns, cos in odd ones. float32."""
    row = torch.arange(length, device=device) % period
    rate = torch.exp(torch.arange(0, dim, 2, device=device, dtype=torch.float32) * (-math.log(10000.0) / dim))
    angle = row[:, None] * rate
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)[:, :dim]


def head_slopes(heads: int) -> list[float]:
    """One slope per head (ALiBi, Press et al., ICLR 2022): 2^(−8(h+1)/H) where H is a power of two.

    Otherwise the slopes of the next smaller power of two c, then the first H − c of every second slope for 2c.
    """
    below = 2 ** int(math.log2(heads))
    slopes = [2.0 ** (-8.0 * (head + 1) / below) for head in range(below)]
    return slopes if below == heads else slopes + head_slopes(2 * below)[::2][: heads - below]


def period_penalty(length: int, heads: int, period: int, device: Any = None) -> Tensor:
    """(H, length): what a head takes off the score of a key that lies 0, 1, 2, … frames before the query.

    Whole periods are counted back from the query, so the last p frames cost nothing.
    """
    slopes = torch.tensor(head_slopes(heads), device=device)
    return -slopes[:, None] * (torch.arange(length, device=device) // period)


def temporal_bias(length: int, heads: int, period: int, device: Any = None) -> Tensor:
    """(H, T, T) added to self-attention scores: the period penalty, and −∞ for keys after the query."""
    steps = torch.arange(length, device=device)
    back = steps[:, None] - steps
    bias = period_penalty(length, heads, period, device)[:, back.clamp(min=0)]
    return bias.masked_fill(back < 0, -math.inf)


def alignment_mask(frames: int, steps: int, per_frame: int, device: Any = None) -> Tensor:
    """(T, S) bool, True where frame i may not see memory step j: it sees steps i·n … i·n + n − 1 alone.

    The networks use the closed form of `models.attention`; this is its definition.
    """
    owner = torch.arange(steps, device=device) // per_frame
    return torch.arange(frames, device=device)[:, None] != owner
