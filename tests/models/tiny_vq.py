"""Small motion autoencoders and silent clips for the tests of CodeTalker's first stage."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from models.codetalker_vq.autoencoder import MotionAutoencoder
from models.codetalker_vq.settings import Settings
from models.talking_face import Clips, DataFacts

VERTICES = 7
FACTS = DataFacts(VERTICES, 30.0, ("anna", "berta"), channels=0, encoder="")
VOCASET = Settings(hidden_size=24, layers=3, heads=3, feedforward=20, tokens=4, token_width=6, codes=12)
BIWI = replace(VOCASET, tokens=3, token_width=5, linear_around_codes=True, output_bias=False)
BOTH = (VOCASET, BIWI)


def prior(settings: Settings, seed: int = 0) -> MotionAutoencoder:
    """A prior in eval mode whose codes lie far apart."""
    torch.manual_seed(seed)
    made = MotionAutoencoder.build(settings, FACTS).eval()
    nn.init.normal_(made.quantize.embedding.weight, std=0.4)
    return made


def clips(frames: list[int], seed: int = 1) -> Clips:
    """A padded batch of random clips; a clip's numbers do not depend on the others in the batch."""
    count, longest = len(frames), max(frames)
    vertices, template = torch.zeros(count, longest, 3 * VERTICES), torch.zeros(count, 3 * VERTICES)
    for i, length in enumerate(frames):
        draw = torch.Generator().manual_seed(seed + length)
        template[i] = torch.randn(3 * VERTICES, generator=draw)
        vertices[i, :length] = template[i] + torch.randn(length, 3 * VERTICES, generator=draw)
    silence, nobody = torch.zeros(count, 0, 0), torch.zeros(count, 2)
    return Clips(silence, torch.zeros(count), template, nobody, vertices, torch.tensor(frames))
