"""Batches that are padded at the end, so that every clip gets what it would get alone.

Shapes: B clips, T frames of the longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Padding:
    """Where the clips of a batch end. lengths: (B,). inside: (B, T) bool, False behind a clip's end."""

    lengths: Tensor
    inside: Tensor

    @classmethod
    def of(cls, lengths: Sequence[int], frames: int, device: Any = None) -> Padding | None:
        """None where no clip is shorter than `frames`: nothing needs to be masked."""
        if all(length == frames for length in lengths):
            return None
        counts = torch.tensor(list(lengths), device=device)
        return cls(counts, torch.arange(frames, device=device) < counts[:, None])

    def last(self, x: Tensor) -> Tensor:
        """(B, T, C) → every clip's own last frame, (B, 1, C)."""
        return x[torch.arange(len(x), device=x.device), self.lengths - 1][:, None]


def clip_means(values: Tensor, padding: Padding | None) -> Tensor:
    """(B, T) → every clip's mean over its own frames, (B,)."""
    if padding is None:
        return values.mean(1)
    return values.where(padding.inside, 0.0).sum(1) / padding.lengths
