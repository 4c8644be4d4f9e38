"""What the cases of all talking faces have in common: their data sets, their speech encoder, their inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from models.listening import ListeningFace
from models.official import published_name
from models.recognise import HEAD
from models.resample import align
from models.talking_face import Clips, DataFacts
from tests.golden.case import Case, NoNetwork, UnknownOutput, reason

Shapes = Mapping[str, tuple[int, ...]]
Face = TypeVar("Face", bound=ListeningFace)


@dataclass(frozen=True)
class Dataset:
    """What a data set fixes: motion frames per second, how speech meets motion, and the period by default."""

    fps: float
    alignment: str
    period: int


DATASETS = {"vocaset": Dataset(30.0, "interpolate", 30), "biwi": Dataset(25.0, "pairs", 25)}


def dataset_of(config: Mapping[str, Any]) -> Dataset:
    """The data set that a configuration names, in any case."""
    name = str(config.get("dataset")).casefold()
    if name not in DATASETS:
        raise NoNetwork(f"the configuration's dataset is {config.get('dataset')!r}; known are {', '.join(DATASETS)}")
    return DATASETS[name]


def train_subjects(config: Mapping[str, Any]) -> list[str]:
    """Names of the training subjects, which the released code writes as one text."""
    subjects = config.get("train_subjects") or []
    return subjects.split() if isinstance(subjects, str) else list(subjects)


def decoder_settings(config: Mapping[str, Any], shapes: Shapes) -> dict[str, Any]:
    """What shapes and configuration say of the settings that all faces have."""
    layers = {name.split(".")[2] for name in shapes if name.startswith("transformer_decoder.layers.")}
    dataset = dataset_of(config)
    return {
        "feature_dim": shapes["audio_feature_map.weight"][0],
        "period": config.get("period", dataset.period),
        "heads": config.get("n_head", 4),
        "layers": len(layers),
        "feedforward": shapes["transformer_decoder.layers.0.linear1.weight"][0],
        "alignment": dataset.alignment,
    }


def facts_of(config: Mapping[str, Any], shapes: Shapes, subjects: int, inward: str = "vertice_map") -> DataFacts:
    """The facts of a case's data. inward: the layer that takes its motion."""
    encoder = _speech_config(shapes) | dict(config.get("speech_encoder", config.get("wav2vec2", {})))
    return DataFacts(
        vertices=shapes[f"{inward}.weight"][1] // 3,
        fps=dataset_of(config).fps,
        train_subjects=[str(subject) for subject in range(subjects)],
        channels=encoder["conv_dim"][-1],
        encoder="golden",
        encoder_config=encoder,
    )


def _speech_config(shapes: Shapes) -> dict[str, Any]:
    """What the shapes say of the speech encoder; the rest is wav2vec2-base's, or the larger kind's."""
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
        **(_large(shapes) if f"{prefix}feature_extractor.conv_layers.1.layer_norm.weight" in shapes else {}),
    }


def _large(shapes: Shapes) -> dict[str, Any]:
    """What sets the larger encoders apart: norms after every convolution and before every layer."""
    return {
        "conv_bias": "audio_encoder.feature_extractor.conv_layers.0.conv.bias" in shapes,
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
        "num_attention_heads": max(1, shapes["audio_feature_map.weight"][1] // HEAD),
    }


class FaceRunner(Generic[Face]):
    """The inputs of a case as tensors, and what every network makes of its speech; each computed once, when asked."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def build(self) -> Face:
        """The network of the case with its weights, for evaluation."""
        raise NotImplementedError

    @property
    def network(self) -> Face:
        if isinstance(self._built, NoNetwork):
            raise self._built
        return self._built

    @cached_property
    def _built(self) -> Face | NoNetwork:
        """The network, or why there is none: found out once, since every output would try again."""
        if not self.case.facts.shapes:
            return NoNetwork("there is no network: the case has no state")
        try:
            return self.build()
        except Exception as error:
            return NoNetwork(f"the network cannot be built: {reason(error)}")

    @cached_property
    def audio(self) -> Tensor:
        """(1, N), stored with or without the clip's axis."""
        return torch.from_numpy(self.case.input("audio")).float().reshape(1, -1)

    @cached_property
    def features(self) -> Tensor:
        return self.network.audio_encoder.convolve(self.audio)

    @cached_property
    def template(self) -> Tensor:
        """(1, D), stored flat or by vertices, with or without the clip's axis."""
        return torch.from_numpy(self.case.input("template")).float().reshape(1, -1)

    @cached_property
    def style(self) -> Tensor:
        """(1, K): the stored one-hot, or that of the training subject the configuration names."""
        if "in/one_hot" in self.case.arrays:
            return self.one_hot("one_hot")
        count, index = len(train_subjects(self.case.config)), self.case.config.get("subject_index")
        if type(index) is not int or not 0 <= index < count:
            raise UnknownOutput("needs in/one_hot, or a subject_index into train_subjects in the configuration")
        return torch.eye(count)[index : index + 1]

    def one_hot(self, name: str) -> Tensor:
        """(1, K), stored with or without the clip's axis."""
        return torch.from_numpy(self.case.input(name)).float().reshape(1, -1)

    def clips(self, name: str) -> Clips:
        """The case's speech with the motion in/<name>, stored flat or by vertices, with or without the clip's axis."""
        vertices = torch.from_numpy(self.case.input(name)).float().reshape(1, -1, self.template.shape[1])
        return Clips(
            features=self.features,
            feature_lengths=torch.tensor([self.features.shape[1]]),
            template=self.template,
            style=self.style,
            vertices=vertices,
            frames=torch.tensor([vertices.shape[1]]),
        )

    @cached_property
    def frames(self) -> int:
        return self.network.frames_for(self.features.shape[1])

    def resampled(self, frames: int) -> Tensor:
        return align(self.features, [self.features.shape[1]], [frames], self.network.settings.alignment)

    @torch.no_grad()
    def encoded(self, frames: int) -> Tensor:
        """The speech encoder's output (1, S, W) at the rate of so many motion frames."""
        resampled = self.resampled(frames)
        encoded: Tensor = self.network.audio_encoder(resampled, [resampled.shape[1]])
        return encoded

    @cached_property
    @torch.no_grad()
    def memory(self) -> Tensor:
        return self.network.listen(self.features, [self.features.shape[1]], [self.frames])

    def gradients(self, loss: Tensor) -> dict[str, np.ndarray]:
        """Published parameter name → gradient; zeros for what the loss does not reach."""
        self.network.zero_grad()
        torch.autograd.backward(loss)
        return {
            published_name(name): (torch.zeros_like(p) if p.grad is None else p.grad.clone()).numpy()
            for name, p in self.network.named_parameters()
        }


def gradient_of(gradients: Mapping[str, np.ndarray], parameter: str) -> np.ndarray:
    """The gradient under any spelling of a parameter's name."""
    if published_name(parameter) not in gradients:
        raise UnknownOutput("the network has no such parameter")
    return gradients[published_name(parameter)]
