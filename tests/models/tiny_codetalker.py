"""Small CodeTalker networks upon small drawn priors, in both published flavours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import nn

from models.codetalker.face import CodeTalker
from models.codetalker.settings import Settings
from models.codetalker_vq.autoencoder import MotionAutoencoder
from models.codetalker_vq.settings import Settings as PriorSettings
from models.talking_face import DataFacts
from tests.models import tiny_vq
from tests.models.tiny import SUBJECTS, VERTICES


class Flavour(NamedTuple):
    """Settings of both stages."""

    face: Settings
    prior: PriorSettings


_FACE = Settings(feature_dim=16, layers=2, encoder_width=32, encoder_layers=2, encoder_heads=2)
VOCASET = Flavour(_FACE, tiny_vq.VOCASET)
BIWI = Flavour(replace(_FACE, layers=3, alignment="pairs", period=25), tiny_vq.BIWI)
BOTH = (VOCASET, BIWI)


def facts(flavour: Flavour, encoder: str = "log-mel", config: dict[str, Any] | None = None) -> DataFacts:
    fps = 25.0 if flavour.face.alignment == "pairs" else 30.0
    return DataFacts(VERTICES, fps, SUBJECTS, channels=16, encoder=encoder, encoder_config=config or {})


def prior(flavour: Flavour, seed: int = 0) -> MotionAutoencoder:
    """A prior in eval mode whose codes lie far apart."""
    torch.manual_seed(seed)
    made = MotionAutoencoder.build(flavour.prior, facts(flavour)).eval()
    nn.init.normal_(made.quantize.embedding.weight, std=0.4)
    return made


def network(flavour: Flavour, seed: int = 0, **about: Any) -> CodeTalker:
    """A network in eval mode whose features are not zero."""
    made = CodeTalker.build(flavour.face, facts(flavour, **about), prior(flavour, seed)).eval()
    nn.init.normal_(made.feat_map.weight, std=0.3)
    return made
