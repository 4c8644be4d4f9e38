"""Runner of the SelfTalk cases, of any size: the network, the frozen recogniser in its file, and the length rules."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from models.official import modern_name
from models.recognise import speech_encoder
from models.resample import feature_length, frame_count
from models.selftalk.face import RECOGNISER, SelfTalk
from models.selftalk.released import recognise
from models.selftalk.settings import Settings
from models.speech import FineTuning, SpeechEncoder
from models.talking_face import Clips, DataFacts, Speech
from models.text import ENGLISH, Vocabulary
from tests.golden.case import Case, NoNetwork, UnknownOutput
from tests.golden.faces import FaceRunner, dataset_of, gradient_of
from tests.golden.patterns import Patterns

output = Patterns()
OWN_NAMES = {"position": "position", "velocity": "velocity", "latent": "latent", "ctc": "text"}
"""A case's names of the losses → ours."""


class Heard(NamedTuple):
    """What the recogniser makes of the sound: (1, L, H), (1, L, classes)."""

    hidden: Tensor
    logits: Tensor


class Learnt(NamedTuple):
    """The training forward: frames kept, N, and the decoder's output (1, T, d)."""

    frames: int
    steps: int
    hidden: Tensor


class SelfTalkRunner(FaceRunner[SelfTalk]):
    """Computes any output of a case. Everything expensive is computed once, and only when asked for."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._learnt: dict[str, Learnt] = {}
        self._losses: dict[str, Mapping[str, Tensor]] = {}
        self._gradients: dict[str, dict[str, np.ndarray]] = {}

    def output(self, name: str) -> np.ndarray:
        return output.compute(self, name)

    @cached_property
    def state(self) -> dict[str, Tensor]:
        return {name.removeprefix("module."): torch.from_numpy(array) for name, array in self.case.state().items()}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(value.shape) for name, value in self.state.items()}

    def encoder_config(self, prefix: str) -> dict[str, Any]:
        found = speech_encoder(self.shapes, prefix)
        if found is None:
            raise NoNetwork(f"the case's state has no speech encoder under {prefix}")
        return found | {name: value for name, value in self.case.config.get("speech_encoder", {}).items()}

    def build(self) -> SelfTalk:
        config, released = self.case.config, recognise(self.shapes)
        if released is None:
            raise NoNetwork("the case's state is not of SelfTalk")
        weights = {f"{OWN_NAMES[name]}_weight": value for name, value in config.get("loss_weights", {}).items()}
        heads = {"heads": config.get("decoder", {}), "interpreter_heads": config.get("interpreter", {})}
        told = {name: part["nhead"] for name, part in heads.items() if "nhead" in part}
        dataset = dataset_of(config)
        lips = self.case.input("lip_mask").reshape(-1).tolist() if "in/lip_mask" in self.case.arrays else []
        encoder = self.encoder_config("audio_encoder.")
        facts = DataFacts(
            released.vertices,
            dataset.fps,
            ["anyone"],
            encoder["conv_dim"][-1],
            "golden",
            encoder,
            {"lips": lips} if lips else {},
            self.letters(released.classes),
            released.text_width,
        )
        settings = Settings(**{**released.settings, **told, **weights, "alignment": dataset.alignment})
        network = SelfTalk.build(settings, facts).eval()
        network.load_official(self.state)
        return network

    def letters(self, classes: int) -> Sequence[str]:
        """The case's own vocabulary where it lists one, else that of as many letters, if there is one."""
        listed = self.case.config.get("vocabulary")
        return listed if isinstance(listed, list) else ENGLISH if classes == len(ENGLISH) else ()

    @cached_property
    @torch.no_grad()
    def heard(self) -> Heard:
        """As the features stage hears: the recogniser's graph is that of our speech encoders."""
        prefix = f"{RECOGNISER}wav2vec2."
        encoder = SpeechEncoder(self.encoder_config(prefix), FineTuning()).eval()
        own = {modern_name(name): value for name, value in self.state.items() if name.startswith(prefix)}
        encoder.take({name.removeprefix(prefix): value for name, value in own.items()}, "the case")
        features = encoder.convolve(self.audio)
        hidden = encoder(features, [features.shape[1]])
        head = f"{RECOGNISER}lm_head."
        return Heard(hidden, linear(hidden, self.state[f"{head}weight"], self.state[f"{head}bias"]))

    @property
    def vocabulary(self) -> Vocabulary:
        if not self.network.vocabulary:
            raise UnknownOutput("needs a vocabulary, and that of so many classes is not known")
        return Vocabulary(self.network.vocabulary)

    def learnt(self, which: str) -> Learnt:
        """The training forward against in/vertice<which>."""
        if which not in self._learnt:
            with torch.no_grad():
                memory, (frames,), *_ = self.network.hear(self.speech(which))
                hidden = self.network.decode(memory, [frames])
            self._learnt[which] = Learnt(frames, self.steps(self.motion(which).shape[1]), hidden)
        return self._learnt[which]

    @torch.no_grad()
    def lip_features(self, which: str) -> Tensor:
        """(1, N, H)"""
        learnt = self.learnt(which)
        return self.network.interpret(self.network.lips_of(learnt.hidden), [learnt.frames], [learnt.steps])

    def losses(self, which: str) -> Mapping[str, Tensor]:
        """With their graph, computed once."""
        if which not in self._losses:
            text = self.label(self.steps(self.motion(which).shape[1]))
            clips = dataclasses.replace(
                self.speech(which),
                text_hidden=self.heard.hidden,
                text=torch.tensor([text], dtype=torch.int64).reshape(1, -1),
                text_lengths=torch.tensor([len(text)]),
            )
            self._losses[which] = self.network.losses(clips)
        return self._losses[which]

    def speech(self, which: str) -> Clips:
        """The clip, but for its text."""
        motion = self.motion(which)
        lengths, frames = torch.tensor([self.features.shape[1]]), torch.tensor([motion.shape[1]])
        return Clips(self.features, lengths, self.template, torch.ones(1, 1), motion, frames)

    def motion(self, which: str) -> Tensor:
        """(1, T, D)"""
        given = torch.from_numpy(self.case.input(f"vertice{which}")).float()
        return given.reshape(1, -1, self.template.shape[1])

    def steps(self, frames: int) -> int:
        """N of the training forward."""
        kept = self.network.frames_to_learn(frames, self.features.shape[1])
        return 2 * kept if self.network.per_frame == 2 else self.features.shape[1]

    def label(self, steps: int) -> list[int]:
        """The pseudo-text of the first N steps, as classes."""
        return self.vocabulary.classes_of(self.vocabulary.read(self.heard.logits[0, :steps].numpy()))

    def gradients_of(self, which: str) -> dict[str, np.ndarray]:
        """Published parameter name → gradient of the total loss."""
        if which not in self._gradients:
            self._gradients[which] = self.gradients(self.losses(which)["loss"])
        return self._gradients[which]

    @cached_property
    def prediction(self) -> Tensor:
        """(1, T, D)"""
        [motion] = self.network.predict_all([Speech(self.features[0], self.template[0], torch.ones(1, 1))])
        return motion

    @torch.no_grad()
    def encoded_for(self, frames: int) -> Tensor:
        """The speech encoder's output: all of it for pairs, else at the rate of so many frames."""
        if self.network.per_frame == 1:
            return self.encoded(frames)
        encoded: Tensor = self.network.audio_encoder(self.features, [self.features.shape[1]])
        return encoded


@output(r"predict_vertices")
def _predict_vertices(run: SelfTalkRunner) -> Tensor:
    return run.prediction


@output(r"predict_lip_features")
def _predict_lip_features(run: SelfTalkRunner) -> Tensor:
    found: list[Tensor] = []
    hook = run.network.transformer.register_forward_hook(lambda module, given, features: found.append(features))
    run.network.read_lips(run.prediction[0], run.template[0])
    hook.remove()
    return found[0]


@output(r"predict_logits")
def _predict_logits(run: SelfTalkRunner) -> Tensor:
    return run.network.read_lips(run.prediction[0], run.template[0])[None]


@output(r"predict_audio_hidden")
def _predict_audio_hidden(run: SelfTalkRunner) -> Tensor:
    return run.encoded_for(run.frames)


@output(r"forward(_short|_long|_other)?_vertices")
@torch.no_grad()
def _vertices(run: SelfTalkRunner, which: str | None) -> Tensor:
    return run.network.to_vertices(run.learnt(which or "").hidden, run.template[0])


@output(r"forward(_short|_long|_other)?_lip_features")
def _lip_features(run: SelfTalkRunner, which: str | None) -> Tensor:
    return run.lip_features(which or "")


@output(r"forward(_short|_long|_other)?_logits")
@torch.no_grad()
def _logits(run: SelfTalkRunner, which: str | None) -> Tensor:
    logits: Tensor = run.network.lm_head(run.lip_features(which or ""))
    return logits


@output(r"forward(_short|_long|_other)?_text_(hidden|logits)")
def _heard(run: SelfTalkRunner, which: str | None, what: str) -> Tensor:
    steps = run.steps(run.motion(which or "").shape[1])
    whole: Tensor = getattr(run.heard, what)
    return whole[:, :steps]


@output(r"forward(_short|_long|_other)?_loss_(position|velocity|latent|ctc)")
def _loss(run: SelfTalkRunner, which: str | None, name: str) -> float:
    return run.losses(which or "")[OWN_NAMES[name]].item()


@output(r"forward(_short|_long|_other)?_loss_total(?:_div(\d+))?")
def _total(run: SelfTalkRunner, which: str | None, divisor: int | None) -> float:
    return run.losses(which or "")["loss"].item() / (divisor or 1)


@output(r"forward(_short|_long|_other)?_pseudo_label")
def _pseudo_label(run: SelfTalkRunner, which: str | None) -> np.ndarray:
    return np.array(run.label(run.steps(run.motion(which or "").shape[1])), np.int64)


@output(r"forward(_short|_long|_other)?_frames")
def _frames(run: SelfTalkRunner, which: str | None) -> int:
    return run.network.frames_to_learn(run.motion(which or "").shape[1], run.features.shape[1])


@output(r"forward(_short|_long|_other)?_audio_hidden")
def _audio_hidden(run: SelfTalkRunner, which: str | None) -> Tensor:
    return run.encoded_for(run.motion(which or "").shape[1])


@output(r"forward(_short|_long|_other)?_grad_norms")
def _grad_norms(run: SelfTalkRunner, which: str | None) -> np.ndarray:
    gradients, scale = run.gradients_of(which or ""), run.case.config.get("grad_scale", 1)
    return np.array([np.linalg.norm(gradient_of(gradients, name)) / scale for name in run.case.config["grad_params"]])


# -- lengths -----------------------------------------------------------------------------------------------------------


@output(r"r(\d+)_(\d+)")
def _resampled_length(run: SelfTalkRunner, rate: int, wanted: int) -> np.ndarray:
    return np.array([frame_count(int(count), float(wanted), float(rate)) for count in run.case.input("frames")])


@output(r"encoder_frames")
def _encoder_frames(run: SelfTalkRunner) -> np.ndarray:
    return np.array([feature_length(int(samples)) for samples in run.case.input("samples")])
