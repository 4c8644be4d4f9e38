"""Small TalkingStyle networks in both published flavours, whose mouth repeats a vertex."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from faces.errors import DataError
from models.talking_face import DataFacts
from models.talkingstyle.face import TalkingStyle
from models.talkingstyle.settings import Settings
from tests.models.tiny import SUBJECTS, VERTICES

VOCASET = Settings(feature_dim=16, layers=3, encoder_width=32, encoder_layers=2, encoder_heads=2)
BIWI = replace(VOCASET, alignment="pairs", period=25)
BOTH = (VOCASET, BIWI)
MOUTH = (2, 7, 7, 0, 9)
CALM = {"dropout": 0.0, "encoder_dropout": 0.0, "layerdrop": 0.0, "mask_time_prob": 0.0}


def facts(settings: Settings, encoder: str = "log-mel", config: dict[str, Any] | None = None) -> DataFacts:
    fps = 25.0 if settings.alignment == "pairs" else 30.0
    about = DataFacts(VERTICES, fps, SUBJECTS, channels=16, encoder=encoder, encoder_config=config or {})
    return replace(about, regions={"lips": MOUTH})


def network(settings: Settings, seed: int = 0, **about: Any) -> TalkingStyle:
    """In eval mode, with motion that is not zero and layers that differ."""
    torch.manual_seed(seed)
    return stirred(TalkingStyle.build(settings, facts(settings, **about))).eval()


def stirred(made: TalkingStyle) -> TalkingStyle:
    nn.init.normal_(made.vertice_decoder.weight, std=0.3)
    nn.init.normal_(made.vertice_decoder.bias, std=0.3)
    with torch.no_grad():
        for parameter in made.transformer_decoder.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return made


def refusal(settings: Settings, about: DataFacts) -> str:
    with pytest.raises(DataError) as caught:
        TalkingStyle.build(settings, about)
    return str(caught.value)
