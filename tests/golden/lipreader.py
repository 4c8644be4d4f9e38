"""Runners of the lip reader's cases, of any size: the video front end, the whole network, and decoding."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from faces.mouth.camera import VOCASET
from models.lipreader import Settings
from models.lipreader.decoder import Decoder
from models.lipreader.errors import taught
from models.lipreader.front_ends import VideoFrontEnd
from models.lipreader.inputs import SAMPLES_PER_FRAME, prepare_audio
from models.lipreader.net import CtcHead, LipReader
from models.lipreader.published import settings_of
from models.lipreader.reading import BeamSearch, Hypothesis, read_greedily
from models.official import fit
from models.recognise import layers
from tests.golden.case import Case, NoNetwork, UnknownOutput, reason
from tests.golden.patterns import Patterns

FRONT = "encoder.frontend."
KEPT_OF = {
    "stem": (slice(None, None, 8), slice(None), slice(None, None, 3), slice(None, None, 3)),
    "layer1": (slice(None), slice(None, None, 8), slice(None, None, 3), slice(None, None, 3)),
    "layer2": (slice(None), slice(None, None, 8), slice(None, None, 2), slice(None, None, 2)),
    "layer3": (slice(None), slice(None, None, 8), slice(None, None, 2), slice(None, None, 2)),
    "layer4": (slice(None), slice(None, None, 8)),
}
"""What is stored of a front end's stages, where the case gives no strides of its own."""

front, whole, decoding = Patterns(), Patterns(), Patterns()


def tensors(case: Case) -> dict[str, Tensor]:
    return {name.removeprefix("module."): torch.from_numpy(array) for name, array in case.state().items()}


def shapes_of(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}


def normalised(case: Case) -> Tensor:
    """in/video_u8, (B, T, 1, 88, 88)"""
    pictures = torch.from_numpy(case.input("video_u8")).float() / 255
    scaled = (pictures - case.config.get("mean", VOCASET.mean)) / case.config.get("std", Settings.pixel_std)
    return (scaled[None] if scaled.ndim == 3 else scaled)[:, :, None]


def built(make: Any) -> Any:
    """The network, or why there is none: found out once, since every output would try again."""
    try:
        return make()
    except Exception as error:
        return NoNetwork(f"the network cannot be built: {reason(error)}")


def there(network: Any) -> Any:
    if isinstance(network, NoNetwork):
        raise network
    return network


class FrontEndRunner:
    """The video front end alone."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def output(self, name: str) -> np.ndarray:
        return front.compute(self, name)

    @cached_property
    def _built(self) -> Any:
        return built(self._make)

    def _make(self) -> VideoFrontEnd:
        state = {n.removeprefix(FRONT): value for n, value in tensors(self.case).items() if n.startswith(FRONT)}
        made = VideoFrontEnd(state["frontend3D.0.weight"].shape[0])
        fit(made, state, tables={})
        return made.eval()

    @cached_property
    @torch.no_grad()
    def stages(self) -> dict[str, Tensor]:
        """Outputs of the stem and the four stages, and the features."""
        network, found = there(self._built), {}
        parts: dict[str, nn.Module] = {"stem": network.frontend3D}
        parts |= {f"layer{i}": getattr(network.trunk, f"layer{i}") for i in range(1, 5)}
        for name, part in parts.items():
            part.register_forward_hook(lambda module, given, out, name=name: found.update({name: out}))
        features = network(normalised(self.case))
        return {**found, "stem": found["stem"].transpose(0, 1), "features": features}


@front(r"(stem|layer[1-4])")
def _stage(run: FrontEndRunner, name: str) -> Tensor:
    strides = run.case.config.get("output_strides", {})
    given = name in strides or f"out/{name}" in strides
    return run.stages[name] if given else run.stages[name][KEPT_OF[name]]


@front(r"features")
def _features(run: FrontEndRunner) -> Tensor:
    return run.stages["features"]


class LipReaderRunner:
    """The whole network on a padded batch. Everything expensive is computed once, and only when asked for."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def output(self, name: str) -> np.ndarray:
        return whole.compute(self, name)

    @cached_property
    def _built(self) -> Any:
        return built(self._make)

    def _make(self) -> LipReader:
        state, config = tensors(self.case), self.case.config
        told = settings_of(shapes_of(state), "the case")
        names = {
            "aheads": "heads", "aux_aheads": "audio_heads", "dheads": "decoder_heads", "ctc_weight": "ctc_weight",
            "label_smoothing": "smoothing",
        }  # fmt: skip
        given = {ours: config[theirs] for theirs, ours in names.items() if theirs in config}
        made = LipReader(type(told)(**{**vars(told), **given})).eval()
        made.load_official(state)
        return made

    @property
    def network(self) -> LipReader:
        return there(self._built)

    @cached_property
    def frames(self) -> list[int]:
        return self.case.input("lengths").reshape(-1).tolist()

    @cached_property
    def video(self) -> Tensor:
        pictures = normalised(self.case)
        for clip, count in zip(pictures, self.frames, strict=True):
            clip[count:] = 0
        return pictures.requires_grad_()

    @cached_property
    def audio(self) -> Tensor:
        """(B, S), of whole frames"""
        samples = torch.from_numpy(self.case.input("audio_i16")).float() / 32768
        out = torch.zeros(len(samples), SAMPLES_PER_FRAME * self.video.shape[1])
        for row, wave, count in zip(out, samples, self.frames, strict=True):
            row[: SAMPLES_PER_FRAME * count] = prepare_audio(wave, count)
        return out

    @cached_property
    def texts(self) -> list[list[int]]:
        return [[one for one in row if one >= 0] for row in self.case.input("label").tolist()]

    @cached_property
    def heard(self) -> dict[str, Tensor]:
        """Every part's output on the way to the features, and the features, with their graph."""
        network, found = self.network, {}
        parts = {"video_encoder": network.encoder, "video_frontend": network.encoder.frontend}
        parts |= {"audio_encoder": network.aux_encoder, "audio_frontend": network.aux_encoder.frontend}
        for name, part in parts.items():
            part.register_forward_hook(lambda module, given, out, name=name: found.update({name: out}))
        fused = network.encode(self.video, self.audio, self.frames)
        return {**found, "fused": fused}

    @cached_property
    def losses(self) -> dict[str, Tensor]:
        return self.network.text_losses(self.heard["fused"], self.texts, self.frames)


@whole(r"(video_frontend|audio_frontend|video_encoder|audio_encoder|fused)")
def _part(run: LipReaderRunner, name: str) -> Tensor:
    return run.heard[name].detach()


@whole(r"ctc_logits")
def _ctc_logits(run: LipReaderRunner) -> Tensor:
    return run.network.ctc(run.heard["fused"]).detach()


@whole(r"decoder_logits")
def _decoder_logits(run: LipReaderRunner) -> np.ndarray:
    """What stands in rows of padding is not compared: it is taken from the case."""
    fused, frames = run.heard["fused"].detach(), torch.tensor(run.frames)
    given, wanted = taught(run.texts, run.network.settings.end, fused.device)
    logits = run.network.decoder(given, fused, torch.arange(fused.shape[1]) < frames[:, None]).detach().numpy()
    stored = run.case.expected["decoder_logits"]
    if stored.shape == logits.shape:
        logits[wanted.numpy() < 0] = stored[wanted.numpy() < 0]
    return logits


@whole(r"(loss|loss_ctc|loss_att|accuracy)")
def _loss(run: LipReaderRunner, name: str) -> np.ndarray:
    ours = {"loss_ctc": "ctc", "loss_att": "attention"}
    return run.losses[ours.get(name, name)].detach().numpy().reshape(1)


@whole(r"grad_video_x(\d+)")
def _gradient(run: LipReaderRunner, factor: int) -> np.ndarray:
    (gradient,) = torch.autograd.grad(run.losses["loss"], run.video, retain_graph=True)
    strides = run.case.config.get("output_strides", {})
    full = factor * gradient[:, :, 0]
    return full if any("grad_video" in name for name in strides) else full[..., ::4, ::4]


class DecodingRunner:
    """Greedy and beam search on given features."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self._found: dict[int, list[Hypothesis]] = {}

    def output(self, name: str) -> np.ndarray:
        return decoding.compute(self, name)

    @cached_property
    def _built(self) -> Any:
        return built(self._make)

    def _make(self) -> tuple[Decoder, CtcHead]:
        state = tensors(self.case)
        classes, width = state["ctc.ctc_lo.weight"].shape
        feedforward = state["decoder.decoders.0.feed_forward.w_1.weight"].shape[0]
        count = layers(shapes_of(state), r"decoder\.decoders\.(\d+)\.")
        decoder = Decoder(classes, width, self.case.config["dheads"], feedforward, count, 0.0)
        both = nn.ModuleDict({"decoder": decoder, "ctc": CtcHead(width, classes, 0.0)})
        fit(both, state, tables={})
        both.eval()
        return decoder, both["ctc"]  # type: ignore[return-value]

    @cached_property
    def features(self) -> Tensor:
        return torch.from_numpy(self.case.input("features"))

    @cached_property
    @torch.no_grad()
    def logits(self) -> Tensor:
        return there(self._built)[1](self.features[None])[0]

    def found(self, number: int) -> list[Hypothesis]:
        if number not in self._found:
            wanted = self.case.config["variants"][number]
            search = BeamSearch(there(self._built)[0], self.features, self.logits, wanted["beam"], wanted["ctc_weight"])
            self._found[number] = search.run()
        return self._found[number]


@decoding(r"ctc_best_path")
def _best_path(run: DecodingRunner) -> Tensor:
    return run.logits.argmax(-1)


@decoding(r"ctc_greedy")
def _greedy(run: DecodingRunner) -> np.ndarray:
    return np.array(read_greedily(run.logits))


@decoding(r"beam(\d+)_(yseq|score|decoder|ctc)")
def _beam(run: DecodingRunner, number: int, what: str) -> np.ndarray:
    stored = run.case.expected[f"beam{number}_{what}"]
    best = run.found(number)[: len(stored)]
    if what != "yseq":
        return np.array([getattr(one, what) for one in best])
    end = run.logits.shape[-1] - 1
    rows = np.full((len(best), stored.shape[1]), -1)
    for row, one in zip(rows, best, strict=True):
        sequence = [end, *one.pieces, *[end] * one.ends]
        if len(sequence) > len(row):
            raise UnknownOutput(f"a hypothesis has {len(sequence)} pieces, more than the {len(row)} that are stored")
        row[: len(sequence)] = sequence
    return rows
