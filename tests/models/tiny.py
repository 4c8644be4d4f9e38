"""Small networks and clips for the tests of this folder."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from models.faceformer.face import FaceFormer
from models.faceformer.settings import Settings
from models.talking_face import Clips, DataFacts

VERTICES = 11
SUBJECTS = ("anna", "berta", "carl")
SPEECH: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
}
VOCASET = Settings(feature_dim=16, period=30, encoder_width=32, encoder_layers=2, encoder_heads=2)
BIWI = replace(VOCASET, alignment="pairs", period=25)
BOTH = (VOCASET, BIWI)


def facts(settings: Settings, encoder: str = "log-mel", config: dict[str, Any] | None = None) -> DataFacts:
    fps = 25.0 if settings.alignment == "pairs" else 30.0
    return DataFacts(VERTICES, fps, SUBJECTS, channels=16, encoder=encoder, encoder_config=config or {})


def network(settings: Settings, seed: int = 0, **about: Any) -> FaceFormer:
    """A network in eval mode whose motion decoder is not zero."""
    torch.manual_seed(seed)
    made = FaceFormer.build(settings, facts(settings, **about)).eval()
    nn.init.normal_(made.vertice_map_r.weight, std=0.3)
    nn.init.normal_(made.vertice_map_r.bias, std=0.3)
    return made


def clips(lengths: list[int], frames: list[int], seed: int = 1) -> Clips:
    """A padded batch of random clips; a clip's numbers do not depend on the others in the batch."""
    features = torch.zeros(len(lengths), max(lengths), 16)
    vertices = torch.zeros(len(lengths), max(frames), 3 * VERTICES)
    template = torch.zeros(len(lengths), 3 * VERTICES)
    for i, (length, count) in enumerate(zip(lengths, frames, strict=True)):
        draw = torch.Generator().manual_seed(seed + 100 * length + count)
        features[i, :length] = torch.randn(length, 16, generator=draw)
        template[i] = torch.randn(3 * VERTICES, generator=draw)
        vertices[i, :count] = template[i] + torch.randn(count, 3 * VERTICES, generator=draw)
    style = torch.eye(len(SUBJECTS))[[length % len(SUBJECTS) for length in lengths]]
    return Clips(features, torch.tensor(lengths), template, style, vertices, torch.tensor(frames))


def one(batch: Clips, i: int) -> Clips:
    """Clip i of a batch, without its padding."""
    length, frames = int(batch.feature_lengths[i]), int(batch.frames[i])
    rows = slice(i, i + 1)
    return Clips(
        batch.features[rows, :length],
        batch.feature_lengths[rows],
        batch.template[rows],
        batch.style[rows],
        batch.vertices[rows, :frames],
        batch.frames[rows],
    )
