"""The two front ends of Auto-AVSR: one vector per frame of a mouth's picture, and of its sound.

Shapes: B clips, T frames, S samples at 16 kHz, w channels to begin with (64), 8 w behind the trunk (512).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from models.lipreader.inputs import SAMPLES_PER_FRAME
from models.lipreader.resnet import Trunk, norm

AROUND = 2
"""Frames before and behind one that its features see."""
CHUNK = 64
"""Frames that are looked at together where that changes no number: what a long clip takes does not grow with it."""


class FiveFrames(nn.Conv3d):
    """(B, n + 4, 88, 88) → (B·n, w, 44, 44): a convolution over five frames, 7 x 7 pixels each.

    As one over pictures whose channels are five frames: the same numbers, and a gradient in a quarter of the time.
    """

    def __init__(self, width: int) -> None:
        super().__init__(1, width, (2 * AROUND + 1, 7, 7), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        five = x.unfold(1, 2 * AROUND + 1, 1).flatten(0, 1).permute(0, 3, 1, 2)  # (B·n, 5, 88, 88)
        return F.conv2d(five, self.weight[:, 0], stride=2, padding=3)


class VideoFrontEnd(nn.Module):
    """(B, T, 1, 88, 88) → (B, T, 8 w): a convolution over five frames, then a ResNet-18 for each picture.

    checkpoint_frames: so many frames at a time are looked at, and again for their gradient, instead of keeping what
    lies between pixels and features; 0: all is kept. It acts in eval mode alone: in training, batch norms need all
    frames of a batch at once.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.checkpoint_frames = 0
        self.frontend3D = nn.Sequential(
            FiveFrames(width),
            nn.BatchNorm2d(width),
            nn.SiLU(),
            nn.MaxPool2d(3, 2, 1),
        )
        self.trunk = Trunk(2, width)

    def forward(self, video: Tensor) -> Tensor:
        frames = video.shape[1]
        x = F.pad(video[:, :, 0], (0, 0, 0, 0, AROUND, AROUND))  # (B, T + 4, 88, 88)
        if self.training:
            return self._look(x)
        step = self.checkpoint_frames or CHUNK
        ends = [(start, min(start + step, frames)) for start in range(0, frames, step)]
        return torch.cat([self._chunk(x[:, start : end + 2 * AROUND]) for start, end in ends], dim=1)

    def _chunk(self, x: Tensor) -> Tensor:
        if self.checkpoint_frames and torch.is_grad_enabled():
            again: Tensor = checkpoint(self._look, x, use_reentrant=False, preserve_rng_state=False)
            return again
        return self._look(x)

    def _look(self, x: Tensor) -> Tensor:
        """(B, n + 4, 88, 88) → (B, n, 8 w)"""
        seen: Tensor = self.trunk(self.frontend3D(x)).mean(dim=(-2, -1))  # of (B·n, 8 w, 3, 3)
        return seen.unflatten(0, (len(x), -1))


class AudioTrunk(Trunk):
    """(B, 1, S) → (B, 8 w, S / 32)"""

    def __init__(self, width: int) -> None:
        super().__init__(1, width)
        self.conv1 = nn.Conv1d(1, width, 80, 4, 38, bias=False)
        self.bn1 = norm(1, width)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.silu(self.bn1(self.conv1(x))))


class AudioFrontEnd(nn.Module):
    """(B, S) → (B, S // 640, 8 w); samples behind the last whole frame are dropped."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.trunk = AudioTrunk(width)

    def forward(self, audio: Tensor) -> Tensor:
        whole = audio.shape[1] // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME
        return F.avg_pool1d(self.trunk(audio[:, None, :whole]), 20).transpose(1, 2)
