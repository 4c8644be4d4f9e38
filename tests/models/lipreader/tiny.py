"""Small lip readers with weights that matter, and clips for them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from models.lipreader.inputs import SAMPLES_PER_FRAME
from models.lipreader.net import LipReader
from models.lipreader.sizes import Sizes

SMALL = Sizes(
    classes=12, front_width=4, width=16, layers=2, heads=2, feedforward=24, kernel=5, fusion_width=20, decoder_layers=2
)
LIPS = Sizes(
    modality="video", classes=12, front_width=4, width=16, layers=2, heads=2, feedforward=24, kernel=5, decoder_layers=2
)
BOTH = (SMALL, LIPS)


def network(settings: Sizes, seed: int = 0) -> LipReader:
    """In eval mode, with batch norms that do something."""
    torch.manual_seed(seed)
    made = LipReader(settings).eval()
    for parameter in made.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=math.prod(parameter.shape[1:]) ** -0.5)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return made


def video(frames: int, seed: int = 1) -> Tensor:
    """(1, T, 1, 88, 88)"""
    return torch.randn(1, frames, 1, 88, 88, generator=torch.Generator().manual_seed(seed))


def audio(frames: int, seed: int = 2) -> Tensor:
    """(1, 640·T)"""
    return torch.randn(1, SAMPLES_PER_FRAME * frames, generator=torch.Generator().manual_seed(seed))


def sound_for(settings: Sizes, frames: int, seed: int = 2) -> Tensor | None:
    return audio(frames, seed) if settings.listens else None
