"""Small FaceTalk networks of a track, of vertices and of their components, and clips for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from models.facetalk.face import FaceTalk
from models.facetalk.settings import Settings
from models.talking_face import Clips, DataFacts
from tests.models import tiny
from tests.models.tiny import SUBJECTS, VERTICES, one

WIDE = 3 * VERTICES
MESH = Settings(
    feature_dim=16,
    layers=2,
    heads=2,
    feedforward=24,
    encoder_width=32,
    encoder_layers=2,
    encoder_heads=2,
    diffusion_steps=40,
    crop=16,
    late_start=50,
)
PARTS = replace(MESH, pca=5)
CODES = replace(MESH, track="codes")
ALL = (MESH, PARTS, CODES)
CALM = {"dropout": 0.0, "encoder_dropout": 0.0, "layerdrop": 0.0, "mask_time_prob": 0.0}

__all__ = ["CALM", "CODES", "MESH", "PARTS", "WIDE", "clips", "facts", "motions", "network", "one"]


def facts(settings: Settings, encoder: str = "log-mel", config: dict[str, Any] | None = None) -> DataFacts:
    told = DataFacts(VERTICES, 24.0, SUBJECTS, channels=16, encoder=encoder, encoder_config=config or {})
    return replace(told, track=settings.track, width=WIDE)


def motions() -> Iterator[tuple[Tensor, Tensor]]:
    """Five sequences of different lengths, faces and spreads."""
    scales = torch.linspace(0.01, 2.0, WIDE)
    for i, frames in enumerate((20, 7, 1, 31, 12)):
        draw = torch.Generator().manual_seed(i)
        template = torch.randn(WIDE, generator=draw)
        yield template + 0.1 + scales * torch.randn(frames, WIDE, generator=draw), template


def network(settings: Settings, seed: int = 0, **about: Any) -> FaceTalk:
    """A studied network in eval mode whose estimates are no constant."""
    torch.manual_seed(seed)
    made = FaceTalk.build(settings, facts(settings, **about)).eval()
    made.study(motions)
    nn.init.normal_(made.denoiser.outward.weight, std=0.3)
    nn.init.normal_(made.denoiser.outward.bias, std=0.3)
    return made


def clips(lengths: list[int], frames: list[int], seed: int = 1) -> Clips:
    return tiny.clips(lengths, frames, seed)
