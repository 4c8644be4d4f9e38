"""Files of weights as the released code of the papers writes them, of small networks that are drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.codetalker.face import CodeTalker
from models.codetalker.settings import Settings as CodeTalkerSettings
from models.codetalker_vq.autoencoder import MotionAutoencoder
from models.codetalker_vq.settings import Settings as PriorSettings
from models.faceformer.face import FaceFormer
from models.faceformer.settings import Settings as FaceFormerSettings
from models.official import published_name
from models.positions import periodic_encoding
from models.talking_face import DataFacts
from models.talkingstyle.face import TalkingStyle
from models.talkingstyle.settings import Settings as TalkingStyleSettings

ENCODER: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 1,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
PRIOR = PriorSettings(hidden_size=24, layers=3, heads=8, feedforward=20, tokens=4, token_width=6, codes=12)
BIWI_PRIOR = replace(PRIOR, tokens=3, token_width=5, linear_around_codes=True, output_bias=False)


Network = FaceFormer | TalkingStyle | CodeTalker | MotionAutoencoder


def facts(vertices: int, subjects: int, fps: float = 30.0) -> DataFacts:
    return DataFacts(vertices, fps, [f"s{number}" for number in range(subjects)], 16, "some/encoder", ENCODER)


def faceformer(vertices: int = 11, subjects: int = 3, fps: float = 30.0, seed: int = 3) -> FaceFormer:
    """In eval mode, with motion that is not zero."""
    torch.manual_seed(seed)
    settings = FaceFormerSettings(feature_dim=16, period=round(fps), alignment="pairs" if fps == 25 else "interpolate")
    made = FaceFormer.build(settings, facts(vertices, subjects, fps)).eval()
    nn.init.normal_(made.vertice_map_r.weight, std=0.1)
    return made


def talkingstyle(vertices: int = 11, subjects: int = 3, fps: float = 30.0, seed: int = 6) -> TalkingStyle:
    """Its encoder is of the larger kind."""
    torch.manual_seed(seed)
    large = {"model_type": "hubert", "conv_bias": True, "feat_extract_norm": "layer", "do_stable_layer_norm": True}
    about = replace(facts(vertices, subjects, fps), encoder_config=ENCODER | large)
    settings = TalkingStyleSettings(
        feature_dim=16, layers=3, period=round(fps), alignment="pairs" if fps == 25 else "interpolate"
    )
    made = TalkingStyle.build(settings, about).eval()
    nn.init.normal_(made.vertice_decoder.weight, std=0.1)
    return made


def motion_prior(vertices: int = 11, settings: PriorSettings = PRIOR) -> MotionAutoencoder:
    torch.manual_seed(4)
    made = MotionAutoencoder.build(settings, facts(vertices, 3)).eval()
    nn.init.normal_(made.quantize.embedding.weight, std=0.4)
    return made


def codetalker(prior: MotionAutoencoder, subjects: int = 3, fps: float = 30.0) -> CodeTalker:
    torch.manual_seed(5)
    settings = CodeTalkerSettings(
        feature_dim=16, layers=2, period=round(fps), alignment="pairs" if fps == 25 else "interpolate"
    )
    made = CodeTalker.build(settings, facts(prior.vertices, subjects, fps), prior).eval()
    nn.init.normal_(made.feat_map.weight, std=0.3)
    return made


def released(network: Network) -> dict[str, Tensor]:
    """Old weight norm, and the tables of positions."""
    state = {published_name(name): value for name, value in network.state_dict().items()}
    if isinstance(network, MotionAutoencoder):
        table = periodic_encoding(50, network.settings.hidden_size, 50)[:, None]
        return {**state, **{f"{part}.{part}_pos_embedding.pe": table.clone() for part in ("encoder", "decoder")}}
    period, d = network.settings.period, network.settings.feature_dim
    return {"PPE.pe": periodic_encoding((600 // period + 1) * period, d, period)[None], **state}


def write(network: Network, file: Path) -> Path:
    """FaceFormer's and TalkingStyle's files are plain state dicts, CodeTalker's are wrapped."""
    state = released(network)
    torch.save(state if isinstance(network, FaceFormer | TalkingStyle) else {"state_dict": state}, file)
    return file
