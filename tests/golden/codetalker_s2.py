"""Runner of the cases of CodeTalker's second stage, of any size. Its state holds both stages."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from models.codetalker.face import CodeTalker
from models.codetalker.settings import Settings
from models.codetalker_vq.autoencoder import MotionAutoencoder
from models.codetalker_vq.prefix import PrefixDecoding
from tests.golden.codetalker_vq import settings_of
from tests.golden.faces import FaceRunner, decoder_settings, facts_of, gradient_of
from tests.golden.patterns import Patterns

output = Patterns()
PRIOR = "autoencoder."


class Spoken(NamedTuple):
    """What passed through `feat_map`: decoder outputs (1, T, d) and features (1, T, Q·Z); and what came of them:
    codes handed on (1, T, Q·Z) and their numbers (1, T, Q)."""

    decoded: Tensor
    features: Tensor
    quantised: Tensor
    codes: Tensor


class CodeTalkerRunner(FaceRunner[CodeTalker]):
    """Computes any output of a case. Everything expensive is computed once, and only when asked for."""

    def output(self, name: str) -> np.ndarray:
        return output.compute(self, name)

    def build(self) -> CodeTalker:
        config = self.case.config
        state = {name.removeprefix("module."): torch.from_numpy(array) for name, array in self.case.state().items()}
        parts = {name.removeprefix(PRIOR): value for name, value in state.items() if name.startswith(PRIOR)}
        own = {name: value for name, value in state.items() if not name.startswith(PRIOR)}
        shapes = {name: tuple(value.shape) for name, value in own.items()}
        facts = facts_of(config, shapes, subjects=shapes["learnable_style_emb.weight"][0])
        prior = MotionAutoencoder.build(
            settings_of(config, {name: tuple(value.shape) for name, value in parts.items()}), facts
        )
        prior.load_official(parts)
        weights = {"motion_weight": config.get("motion_weight", 1.0), "code_weight": config.get("reg_weight", 1.0)}
        network = CodeTalker.build(Settings(**decoder_settings(config, shapes), **weights), facts, prior).eval()
        network.load_official(own)
        return network

    @cached_property
    def mixture(self) -> Tensor:
        """(1, K): in/one_hot and in/one_hot2, blended."""
        weight = float(self.case.input("style_weight"))
        return weight * self.one_hot("one_hot") + (1 - weight) * self.one_hot("one_hot2")

    @cached_property
    def spoken(self) -> Spoken:
        return self.speak(self.style)

    @cached_property
    def spoken_mixture(self) -> Spoken:
        return self.speak(self.mixture)

    @torch.no_grad()
    def speak(self, style: Tensor) -> Spoken:
        steps: list[tuple[Tensor, Tensor]] = []
        hook = self.network.feat_map.register_forward_hook(
            lambda module, given, features: steps.append((given[0], features))
        )
        quantised, codes = self.network.decode_own(self.memory, self.network.style(style), [0], [self.frames])
        hook.remove()
        decoded, features = (torch.cat(parts, dim=1) for parts in zip(*steps, strict=True))
        return Spoken(decoded, features, quantised, codes)

    def vertices(self, style: Tensor) -> Tensor:
        return self.network.predict(self.features[0], self.template[0], style)

    @cached_property
    @torch.no_grad()
    def step_offsets(self) -> Tensor:
        """(1, T, D): what each step feeds back."""
        prefix = PrefixDecoding(self.network.autoencoder, 1, self.frames)
        hidden = [prefix.step(self.spoken.quantised[:, i]) for i in range(self.frames)]
        offsets: Tensor = self.network.autoencoder.vertice_map_reverse(torch.stack(hidden, dim=1))
        return offsets

    @cached_property
    @torch.no_grad()
    def true_features(self) -> Tensor:
        """(1, T, Q·Z): the prior's features of in/vertice, cut as in training."""
        truth = self.network.hear(self.clips("vertice")).vertices
        return self.network.autoencoder.features(truth - self.template[:, None])

    @cached_property
    def losses(self) -> dict[str, Tensor]:
        """Every loss, with its graph."""
        return self.network.losses(self.clips("vertice"))

    @cached_property
    def taught(self) -> Tensor:
        """(1, T, Q·Z): the features of the teacher-forced pass."""
        seen: list[Tensor] = []
        hook = self.network.feat_map.register_forward_hook(lambda module, given, features: seen.append(features))
        with torch.no_grad():
            self.network.losses(self.clips("vertice"))
        hook.remove()
        return seen[0]

    @cached_property
    def all_gradients(self) -> dict[str, np.ndarray]:
        return self.gradients(self.losses["loss"])

    def tokens(self, features: Tensor) -> Tensor:
        """(1, T, Q·Z) → (1, T·Q, Z), as stored."""
        return features.reshape(1, -1, self.network.autoencoder.settings.token_width)


@output(r"audio_hidden")
def _audio_hidden(run: CodeTalkerRunner) -> Tensor:
    return run.encoded(run.frames)[..., ::16]


@output(r"tf_audio_hidden")
def _taught_audio_hidden(run: CodeTalkerRunner) -> Tensor:
    return run.encoded(run.taught.shape[1])[..., ::16]


@output(r"memory")
def _memory(run: CodeTalkerRunner) -> Tensor:
    return run.memory


@output(r"first_decoder_output")
def _first_decoder_output(run: CodeTalkerRunner) -> Tensor:
    return run.spoken.decoded[:, :1]


@output(r"(first_|tf_|gt_)?features")
def _features(run: CodeTalkerRunner, which: str | None) -> Tensor:
    if which in (None, "first_"):
        return run.tokens(run.spoken.features[:, :1] if which else run.spoken.features)
    return run.tokens(run.taught if which == "tf_" else run.true_features)


@output(r"(first_)?indices")
def _indices(run: CodeTalkerRunner, first: str | None) -> Tensor:
    return run.spoken.codes[0, 0] if first else run.spoken.codes[0]


@output(r"(tf|gt)_indices")
def _compared_indices(run: CodeTalkerRunner, which: str) -> Tensor:
    features = run.taught if which == "tf" else run.true_features
    return run.network.autoencoder.quantise(features)[1][0]


@output(r"indices_mix")
def _mixed_indices(run: CodeTalkerRunner) -> Tensor:
    return run.spoken_mixture.codes[0]


@output(r"step_offsets")
def _step_offsets(run: CodeTalkerRunner) -> Tensor:
    return run.step_offsets


@output(r"vertices(_mix)?")
def _vertices(run: CodeTalkerRunner, mix: str | None) -> Tensor:
    return run.vertices(run.mixture if mix else run.style)


@output(r"tf_vertices")
@torch.no_grad()
def _taught_vertices(run: CodeTalkerRunner) -> Tensor:
    prior = run.network.autoencoder
    return prior.decode_features(prior.quantise(run.taught)[0]) + run.template[:, None]


@output(r"tf_loss(_motion|_reg)?")
def _loss(run: CodeTalkerRunner, part: str | None) -> float:
    names = {None: "loss", "_motion": "motion", "_reg": "code"}
    return run.losses[names[part]].item()


@output(r"grad/(.+)")
def _gradient(run: CodeTalkerRunner, parameter: str) -> np.ndarray:
    return gradient_of(run.all_gradients, parameter)
