"""The convolutions of a sound of any length in bounded memory, equal to those of the whole to rounding.

All at once, ten minutes take gigabytes: the first convolution alone makes 3,200 steps of 512 channels a second. Blocks
that overlap by what a step sees beyond its stride (80 samples) give every step its very samples; the norm over time,
which sees the whole clip, gets its moments from a first pass through the first convolution alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from models.wav2vec2.convolutions import Convolutions, Moments

LONG = 60 * 16_000
"""Samples above which blocks are used. A minute at once takes about a gigabyte, which any machine has; below, results
stay bit for bit those of the whole."""
BLOCK = 500
"""Steps per block: ten seconds, in which the fixed costs of a block vanish; 300 MB suffice."""


def convolve(network: Convolutions, audio: Tensor, *, long: int = LONG, block: int = BLOCK) -> Tensor:
    """(B, N) clips without padding → (B, C, L). Above `long` samples, in blocks of `block` steps."""
    if audio.shape[1] <= long:
        return network.run(audio, None)
    moments = _moments(network, audio, block) if network.over_time else None
    stride, window = math.prod(network.strides), window_of(network.kernels, network.strides)
    parts = [network.run(part, moments) for part in _blocks(audio, stride, window, block)]
    return torch.cat(parts, dim=2)


def window_of(kernels: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """How many samples one step sees."""
    seen = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        seen = (seen - 1) * stride + kernel
    return seen


def _blocks(audio: Tensor, stride: int, window: int, block: int) -> Iterator[Tensor]:
    """What every `block` steps of a strided window see, (B, …) each."""
    steps = (audio.shape[1] - window) // stride + 1
    for start in range(0, steps, block):
        count = min(block, steps - start)
        yield audio[:, start * stride : (start + count - 1) * stride + window]


def _moments(network: Convolutions, audio: Tensor, block: int) -> Moments:
    """Of the first convolution's channels over the whole clip: centred in each block, joined in float64 on the CPU.

    Chan, Golub and LeVeque, "Algorithms for computing the sample variance", The American Statistician 37, 1983.
    """
    kernel, stride = network.kernels[0], network.strides[0]
    steps = block * math.prod(network.strides[1:])
    count, mean, squares = 0, torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    for part in _blocks(audio, stride, kernel, steps):
        x = network.conv_layers[0].conv(part[:, None]).float()
        centre = x.mean(-1)
        spread = (x - centre[..., None]).square_().sum(-1)
        new, apart = x.shape[-1], centre.cpu().double() - mean
        squares = squares + spread.cpu().double() + apart.square() * (count * new / (count + new))
        mean = mean + apart * (new / (count + new))
        count += new
    weight = network.conv_layers[0].conv.weight
    # In this order: not every device has float64.
    mean, variance = (value.to(weight.dtype).to(weight.device) for value in (mean, squares / count))
    return Moments(mean, variance)
