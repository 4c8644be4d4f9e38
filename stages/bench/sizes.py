"""Networks to measure, by name: at the sizes that were published for a data set, or small enough for a test.

A model that is not named here is measured all the same: what its settings share with others (`alignment`, `period`)
is set by the data set, the rest are its own defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch

from models.motion_prior import MotionPrior
from models.settings import Wants, wants_of
from models.talking_face import DataFacts, TalkingFace
from models.text import ENGLISH
from pipeline.registry import load_component


@dataclass(frozen=True)
class Data:
    """Of a data set: V, frames per second, training subjects K, vertices of the lips, and what its recordings ask of
    every model."""

    vertices: int
    fps: float
    subjects: int
    lips: int
    settings: Mapping[str, Any]


DATA = {
    "vocaset": Data(5023, 30.0, 8, 254, {"alignment": "interpolate", "period": 30}),
    "biwi": Data(23370, 25.0, 6, 4996, {"alignment": "pairs", "period": 25}),
}
PUBLISHED: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("faceformer", "biwi"): {"feature_dim": 128},
    ("talkingstyle", "biwi"): {"feature_dim": 128},
    ("codetalker", "biwi"): {"layers": 12},
    ("selftalk", "biwi"): {"feature_dim": 1024},
    ("codetalker-vq", "biwi"): {
        "tokens": 8, "token_width": 128, "linear_around_codes": True, "output_bias": False,
    },
}  # fmt: skip
"""What a model's authors set for a data set beside its defaults, which are VOCASET's."""
SMALL = {
    "feature_dim": 32, "feedforward": 32, "hidden_size": 64, "layers": 1, "heads": 4,
    "tokens": 4, "token_width": 16, "codes": 16, "linear_around_codes": False,
    "interpreter_layers": 1, "interpreter_feedforward": 32,
}  # fmt: skip
SMALL_VERTICES, SMALL_LIPS = 120, 12
BASE_ENCODER: Mapping[str, Any] = {"model_type": "wav2vec2", "hidden_size": 768}
"""wav2vec 2.0 base, whose other sizes are the defaults of `transformers`."""
LARGE_ENCODER: Mapping[str, Any] = {
    "model_type": "wav2vec2", "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
    "intermediate_size": 4096, "conv_bias": True, "feat_extract_norm": "layer", "do_stable_layer_norm": True,
}  # fmt: skip
ENCODERS: Mapping[str, Mapping[str, Any]] = {
    "selftalk": LARGE_ENCODER,  # XLSR-53
    "talkingstyle": {**LARGE_ENCODER, "model_type": "hubert"},
}
"""Of models whose authors took another speech encoder than the base."""
SMALL_ENCODER: Mapping[str, Any] = {
    "model_type": "wav2vec2", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 64, "conv_dim": [16] * 7, "num_conv_pos_embeddings": 16,
}  # fmt: skip


def facts(data: str, size: str, model: str = "") -> DataFacts:
    """What a network is told of the data. model: whose settings may ask for more than all networks are told."""
    known, small = DATA[data], size == "small"
    names = [f"subject{i}" for i in range(known.subjects)]
    encoder = SMALL_ENCODER if small else ENCODERS.get(model, BASE_ENCODER)
    vertices, lips, channels = (SMALL_VERTICES, SMALL_LIPS, 16) if small else (known.vertices, known.lips, 512)
    wants = wants_of(settings(model, data, size)) if model else Wants()
    return DataFacts(
        vertices,
        known.fps,
        names,
        channels,
        "drawn",
        encoder,
        # As of a real mesh, a part of its numbers: which they are changes no time.
        regions={name: range(lips) for name in wants.regions},
        vocabulary=ENGLISH if wants.text else (),
        text_width=encoder["hidden_size"] if wants.text == "heard" else 0,
    )


def settings(model: str, data: str, size: str) -> Any:
    """A model's `Settings`."""
    kind = load_component("models", model).Settings
    wanted = {**DATA[data].settings, **PUBLISHED.get((model, data), {}), **(SMALL if size == "small" else {})}
    return kind(**{field.name: wanted[field.name] for field in fields(kind) if field.name in wanted})


def build(model: str, data: str, size: str, device: str) -> tuple[TalkingFace, MotionPrior | None]:
    """The network with drawn weights, and the frozen motion prior that it is built upon, if it is."""
    torch.manual_seed(0)
    module, told = load_component("models", model), facts(data, size, model)
    below = getattr(module.Settings, "prior", "")
    prior = load_component("models", below).network().build(settings(below, data, size), told) if below else None
    upon = [] if prior is None else [prior]
    network = module.network().build(settings(model, data, size), told, *upon)
    return network.to(device), prior
