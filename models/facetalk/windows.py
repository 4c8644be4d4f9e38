"""A clip as overlapping windows of one length: what was trained on a crop speaks of any length.

Windows begin every W − o frames and share o = W // 2 with the one before; the last may reach past the clip's end, which
no frame before it sees. Shapes: N frames of the clip, n windows of W frames, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Windows:
    """frames: N. window: W; a clip that is not longer is one window."""

    frames: int
    window: int

    @property
    def overlap(self) -> int:
        return self.window // 2

    @property
    def count(self) -> int:
        """n"""
        hop = self.window - self.overlap
        return 1 + max(0, -(-(self.frames - self.window) // hop))

    @property
    def lengths(self) -> list[int]:
        """Frames of the clip in each window."""
        hop = self.window - self.overlap
        return [min(self.window, self.frames - i * hop) for i in range(self.count)]

    def cut(self, x: Tensor) -> Tensor:
        """(N, C) → (n, W, C), zeros behind the end."""
        hop = self.window - self.overlap
        padded = torch.nn.functional.pad(x, (0, 0, 0, (self.count - 1) * hop + self.window - self.frames))
        return padded.unfold(0, self.window, hop).transpose(1, 2)

    def join(self, windows: Tensor) -> Tensor:
        """(n, W, C), which agree where they overlap → (N, C)."""
        return torch.cat((windows[0], *windows[1:, self.overlap :]))[: self.frames]
