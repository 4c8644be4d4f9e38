"""Runner of the TalkingStyle cases: whole networks of any size, and its published evaluation."""

from __future__ import annotations

import dataclasses
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from models.talkingstyle.face import TalkingStyle
from models.talkingstyle.settings import Settings
from tests.golden.case import Case
from tests.golden.faces import FaceRunner, decoder_settings, facts_of, gradient_of
from tests.golden.metrics_cases import MetricsRunner
from tests.golden.patterns import Patterns

output = Patterns()
MOUTH = "mouth_map"


class TalkingStyleRunner:
    """Computes any output of a case, be it of a network or of the evaluation, which has no weights."""

    def __init__(self, case: Case) -> None:
        self._runner = NetworkRunner(case) if case.facts.shapes else MetricsRunner(case)

    def output(self, name: str) -> np.ndarray:
        return self._runner.output(name)


class NetworkRunner(FaceRunner[TalkingStyle]):
    """Everything expensive is computed once, and only when asked for."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._losses: dict[tuple[bool, str], dict[str, Tensor]] = {}

    def output(self, name: str) -> np.ndarray:
        return output.compute(self, name)

    def build(self) -> TalkingStyle:
        config = self.case.config
        state = {name: torch.from_numpy(array) for name, array in self.case.state().items()}
        shapes = {name.removeprefix("module."): tuple(value.shape) for name, value in state.items()}
        facts = facts_of(config, shapes, shapes["style_encoder.obj_vector.weight"][1], "vertice_encoder")
        told = decoder_settings(config, shapes) | {"mouth": MOUTH, "mouth_weight": 0.0}
        if f"in/{MOUTH}" in self.case.arrays:
            mouth = self.case.input(MOUTH).reshape(-1).tolist()
            facts = dataclasses.replace(facts, regions={MOUTH: mouth})
            told["mouth_weight"] = config.get("mouth_loss_ratio", 0.6)
        settings = Settings(**told | {"heads": config.get("decoder", {}).get("nhead", told["heads"])})
        network = TalkingStyle.build(settings, facts).eval()
        network.load_official(state)
        return network

    @cached_property
    def prediction(self) -> Tensor:
        return self.network.predict(self.features[0], self.template[0], self.style)

    @torch.no_grad()
    def vertices(self, forced: bool, which: str) -> Tensor:
        """(1, T, D): the motion that a training forward against in/vertice<which> makes."""
        network, clips = self.network, self.clips(f"vertice{which}")
        lesson, style = network.hear(clips), network.style(clips.style)
        if forced:
            hidden = network.decode_forced(lesson.memory, style, lesson.vertices - self.template[:, None])
        else:
            hidden = network.decode_own(lesson.memory, style)
        return network.to_vertices(hidden, self.template[0])

    def losses(self, forced: bool, which: str) -> dict[str, Tensor]:
        """Every loss, with its graph."""
        if (forced, which) not in self._losses:
            self.network.settings = dataclasses.replace(self.network.settings, teacher_forcing=forced)
            self._losses[forced, which] = self.network.losses(self.clips(f"vertice{which}"))
        return self._losses[forced, which]

    def gradient_norms(self, forced: bool, which: str) -> list[float]:
        """Of the parameters that the configuration names, in its order."""
        config = self.case.config
        self.case.input(MOUTH)
        scaled = self.losses(forced, which)["loss"] / config.get("grad_scale", 1)
        gradients = self.gradients(scaled)
        found = [gradient_of(gradients, name) for name in config["grad_params"]]
        return [float(np.linalg.norm(gradient.astype(np.float64))) for gradient in found]


@output("style_embedding")
@torch.no_grad()
def _style_embedding(run: NetworkRunner) -> Tensor:
    return run.network.style(torch.eye(run.network.subjects))


@output("predict_vertices")
def _prediction(run: NetworkRunner) -> Tensor:
    return run.prediction


@output("predict_audio_hidden")
def _audio_hidden(run: NetworkRunner) -> Tensor:
    return run.encoded(run.frames)


@output("predict_frames")
def _predicted_frames(run: NetworkRunner) -> int:
    return run.frames


@output(r"(teacher|rollout)(_\w+?)?_(vertices|frames)")
def _trained_motion(run: NetworkRunner, mode: str, which: str | None, what: str) -> Tensor | int:
    vertices = run.vertices(mode == "teacher", which or "")
    return vertices if what == "vertices" else vertices.shape[1]


@output(r"(teacher|rollout)(_\w+?)?_loss_(total|all|mouth)")
def _loss(run: NetworkRunner, mode: str, which: str | None, part: str) -> float:
    losses = run.losses(mode == "teacher", which or "")
    if part == "all":  # which needs no mouth
        return losses.get("motion", losses["loss"]).item()
    run.case.input(MOUTH)  # told by its name where it lacks
    return losses["loss" if part == "total" else "mouth"].item()


@output(r"(teacher|rollout)(_\w+?)?_grad_norms")
def _gradient_norms(run: NetworkRunner, mode: str, which: str | None) -> list[float]:
    return run.gradient_norms(mode == "teacher", which or "")
