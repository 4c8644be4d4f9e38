"""The residual trunk of both front ends: ResNet-18 (He et al., CVPR 2016) with swish, over pictures or over sound.

Four stages of two blocks, each stage twice as wide as the one before. No convolution has a bias. Shapes: N items,
C channels, then one axis (sound) or two (pictures), w the first stage's channels.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

STAGES = 4


def convolution(axes: int, inward: int, outward: int, kernel: int, stride: int) -> Any:
    made = nn.Conv1d if axes == 1 else nn.Conv2d
    return made(inward, outward, kernel, stride, padding=kernel // 2, bias=False)


def norm(axes: int, channels: int) -> Any:
    return nn.BatchNorm1d(channels) if axes == 1 else nn.BatchNorm2d(channels)


class Block(nn.Module):
    """Two convolutions, added to what went in, which is projected where the shape changes."""

    def __init__(self, axes: int, inward: int, outward: int, stride: int) -> None:
        super().__init__()
        self.conv1 = convolution(axes, inward, outward, 3, stride)
        self.bn1 = norm(axes, outward)
        self.conv2 = convolution(axes, outward, outward, 3, 1)
        self.bn2 = norm(axes, outward)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inward != outward:
            self.downsample = nn.Sequential(convolution(axes, inward, outward, 1, stride), norm(axes, outward))

    def forward(self, x: Tensor) -> Tensor:
        beside = x if self.downsample is None else self.downsample(x)
        y = F.silu(self.bn1(self.conv1(x)))
        return F.silu(self.bn2(self.conv2(y)) + beside)


class Trunk(nn.Module):
    """(N, w, …) → (N, 8 w, …): the first stage keeps the size, each other halves it."""

    def __init__(self, axes: int, width: int) -> None:
        super().__init__()
        self.layer1 = self._stage(axes, width, width, 1)
        self.layer2 = self._stage(axes, width, 2 * width, 2)
        self.layer3 = self._stage(axes, 2 * width, 4 * width, 2)
        self.layer4 = self._stage(axes, 4 * width, 8 * width, 2)

    @staticmethod
    def _stage(axes: int, inward: int, outward: int, stride: int) -> nn.Sequential:
        return nn.Sequential(Block(axes, inward, outward, stride), Block(axes, outward, outward, 1))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return out
