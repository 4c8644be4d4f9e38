"""Sound → features at 50 Hz: the strided convolutions of wav2vec 2.0 (Baevski et al., NeurIPS 2020, section 2).

No convolution pads, so step i sees the samples 320·i … 320·i + 399 and no others, save through the base models' norm
over time. Shapes: B clips, N samples at 16 kHz, L steps at 50 Hz, C channels, P steps of the first convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.wav2vec2.config import Config


class Moments(NamedTuple):
    """Mean and biased variance of every clip's channels over time, (B, C) each."""

    mean: Tensor
    variance: Tensor


class TimeNorm(nn.GroupNorm):
    """A group norm with one channel per group: every channel over the whole time axis of its clip."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)

    def forward(self, x: Tensor, moments: Moments | None = None) -> Tensor:
        """(B, C, P) → (B, C, P). moments: in place of those of `x`, which may be padded or a part of a clip."""
        if moments is None:
            return super().forward(x)
        scale = self.weight * torch.rsqrt(moments.variance + self.eps)
        return (x - moments.mean[..., None]) * scale[..., None] + self.bias[:, None]


class ChannelNorm(nn.LayerNorm):
    """A layer norm over the channels of (B, C, P)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class Convolution(nn.Module):
    """Convolution, norm if it has one, GELU."""

    def __init__(self, config: Config, index: int) -> None:
        super().__init__()
        sizes = (1, *config.conv_dim)
        self.conv = nn.Conv1d(
            sizes[index],
            sizes[index + 1],
            config.conv_kernel[index],
            stride=config.conv_stride[index],
            bias=config.conv_bias,
        )
        nn.init.kaiming_normal_(self.conv.weight)
        self.layer_norm: nn.Module | None = None
        if config.feat_extract_norm == "layer":
            self.layer_norm = ChannelNorm(sizes[index + 1])
        elif index == 0:
            self.layer_norm = TimeNorm(sizes[index + 1])

    def forward(self, x: Tensor, moments: Moments | None = None) -> Tensor:
        """(B, C', P') → (B, C, P)"""
        x = self.conv(x)
        if isinstance(self.layer_norm, TimeNorm):
            x = self.layer_norm(x, moments)
        elif self.layer_norm is not None:
            x = self.layer_norm(x)
        return F.gelu(x)


class Convolutions(nn.Module):
    """All convolutions of a configuration."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.kernels, self.strides = config.conv_kernel, config.conv_stride
        self.conv_layers: Sequence[Convolution] = nn.ModuleList(  # type: ignore[assignment]
            Convolution(config, index) for index in range(len(config.conv_dim))
        )

    @property
    def over_time(self) -> bool:
        """Whether the first convolution is normalised over the clip's whole time."""
        return isinstance(self.conv_layers[0].layer_norm, TimeNorm)

    def forward(self, audio: Tensor, samples: Sequence[int] | None = None) -> Tensor:
        """(B, N) → (B, C, L). samples: of each clip, where the batch is padded; a clip gets what it gets alone."""
        moments = None
        if samples is not None and self.over_time and min(samples) < audio.shape[1]:
            moments = self._moments_inside(audio, samples)
        return self.run(audio, moments)

    def run(self, audio: Tensor, moments: Moments | None) -> Tensor:
        """(B, N) → (B, C, L), with given moments in the norm over time."""
        x = self.conv_layers[0](audio[:, None], moments)
        for layer in self.conv_layers[1:]:
            x = layer(x)
        return x

    def _moments_inside(self, audio: Tensor, samples: Sequence[int]) -> Moments:
        """Of the first convolution's steps that see no padding."""
        x = self.conv_layers[0].conv(audio[:, None])  # computed twice, but it is a hundredth of all
        counts = torch.tensor([(n - self.kernels[0]) // self.strides[0] + 1 for n in samples], device=x.device)
        inside = (torch.arange(x.shape[-1], device=x.device) < counts[:, None])[:, None]
        mean = x.where(inside, 0.0).sum(-1) / counts[:, None]
        squares = (x - mean[..., None]).where(inside, 0.0).square()
        return Moments(mean, squares.sum(-1) / counts[:, None])
