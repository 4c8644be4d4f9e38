"""What the lip reader expects: pictures of a mouth at 25 frames a second, and sound at 16 kHz, 640 samples a frame.

As Auto-AVSR prepares them (Ma et al., ICASSP 2023). Shapes: T frames, S samples.
"""

from __future__ import annotations

import math
import random

import torch
from torch import Tensor

from faces.errors import DataError
from models.doubles import doubled
from models.sight import PICTURES_PER_SECOND

SAMPLE_RATE = 16_000
SAMPLES_PER_FRAME = SAMPLE_RATE // PICTURES_PER_SECOND
SIDE = 88
"""Pixels of a picture's side."""
EPS = 1e-8
"""Added to a sound's variance."""
MASK_WINDOW, MASK_STRIDE = 6400, 16_000
"""Longest hidden span, and one span for each so many samples: 0.4 s, 1 s."""


def prepare_audio(wave: Tensor, frames: int) -> Tensor:
    """Mono sound at 16 kHz (S,) in −1 … 1 → what the network takes beside so many frames, (640·frames,) float32.

    Cut, or followed by zeros, which take part in the mean and the (population) variance that are then taken out.
    """
    x = doubled(fitted(wave, frames))
    return ((x - x.mean()) / torch.sqrt(x.var(correction=0) + EPS)).float()


def fitted(wave: Tensor, frames: int) -> Tensor:
    """Sound (S,) → (640·frames,): cut at its end, or followed by zeros. DataError for anything but one channel."""
    if wave.ndim != 1:
        raise DataError(f"the lip reader hears one channel, (samples,), not an array of shape {tuple(wave.shape)}")
    wanted = SAMPLES_PER_FRAME * frames
    return torch.nn.functional.pad(wave[:wanted], (0, max(0, wanted - len(wave))))


def hide_spans(
    wave: Tensor,
    spans: torch.Generator,
    places: random.Random,
    window: int = MASK_WINDOW,
    stride: int = MASK_STRIDE,
) -> Tensor:
    """Sound (S,) with spans of silence, about one a second: Auto-AVSR's adaptive time mask, for training alone.

    It goes before `prepare_audio`, on sound that was `fitted`. As published, of two numbers that are drawn below
    `window` the first only bounds where a span may begin, and the second is its length.
    """
    samples, hidden = len(wave), wave.clone()
    count = math.floor((samples + stride - 0.1) / stride)
    for bound, length in torch.randint(0, window, (count, 2), generator=spans).tolist():
        if 0 < bound < samples:
            start = places.randrange(samples - bound)
            hidden[start : start + length] = 0
    return hidden
