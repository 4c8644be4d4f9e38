"""The network of a FaceFormer case: its sizes from the configuration and the shapes of its weights, of any size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from models.faceformer.face import FaceFormer
from models.faceformer.settings import Settings
from models.talking_face import DataFacts
from tests.golden.case import Case, NoNetwork

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Dataset:
    """What a data set fixes: motion frames per second, how speech meets motion, and the period by default."""

    fps: float
    alignment: str
    period: int


DATASETS = {"vocaset": Dataset(30.0, "interpolate", 30), "biwi": Dataset(25.0, "pairs", 25)}


def build_network(case: Case) -> FaceFormer:
    """The network of a case with its weights, for evaluation."""
    state = {name: torch.from_numpy(array) for name, array in case.state().items()}
    shapes = {name.removeprefix("module."): tuple(value.shape) for name, value in state.items()}
    network = FaceFormer.build(_settings(case.config, shapes), _facts(case.config, shapes)).eval()
    network.load_official(state)
    return network


def _dataset(config: Mapping[str, Any]) -> Dataset:
    name = str(config.get("dataset")).casefold()
    if name not in DATASETS:
        raise NoNetwork(f"the configuration's dataset is {config.get('dataset')!r}; known are {', '.join(DATASETS)}")
    return DATASETS[name]


def train_subjects(config: Mapping[str, Any]) -> list[str]:
    """Names of the training subjects, which the released code writes as one text."""
    subjects = config.get("train_subjects") or []
    return subjects.split() if isinstance(subjects, str) else list(subjects)


def _settings(config: Mapping[str, Any], shapes: Shapes) -> Settings:
    layers = {name.split(".")[2] for name in shapes if name.startswith("transformer_decoder.layers.")}
    dataset = _dataset(config)
    return Settings(
        feature_dim=shapes["audio_feature_map.weight"][0],
        period=config.get("period", dataset.period),
        heads=config.get("n_head", 4),
        layers=len(layers),
        feedforward=shapes["transformer_decoder.layers.0.linear1.weight"][0],
        alignment=dataset.alignment,
    )


def _facts(config: Mapping[str, Any], shapes: Shapes) -> DataFacts:
    coordinates, subjects = shapes["vertice_map.weight"][1], shapes["obj_vector.weight"][1]
    encoder = _speech_config(shapes) | dict(config.get("wav2vec2", {}))
    return DataFacts(
        vertices=coordinates // 3,
        fps=_dataset(config).fps,
        train_subjects=[str(subject) for subject in range(subjects)],
        channels=encoder["conv_dim"][-1],
        encoder="golden",
        encoder_config=encoder,
    )


def _speech_config(shapes: Shapes) -> dict[str, Any]:
    """What the shapes say of the speech encoder; the rest is wav2vec2-base's, the default."""
    prefix = "audio_encoder."
    convolutions = sorted(
        name for name in shapes if name.startswith(f"{prefix}feature_extractor") and name.endswith(".conv.weight")
    )
    layers = {name.split(".")[3] for name in shapes if name.startswith(f"{prefix}encoder.layers.")}
    return {
        "hidden_size": shapes["audio_feature_map.weight"][1],
        "num_hidden_layers": len(layers),
        "intermediate_size": shapes[f"{prefix}encoder.layers.0.feed_forward.intermediate_dense.bias"][0],
        "conv_dim": [shapes[name][0] for name in convolutions],
        "conv_kernel": [shapes[name][2] for name in convolutions],
    }
