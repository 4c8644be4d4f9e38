"""FaceFormer (Fan et al., "FaceFormer: Speech-Driven 3D Facial Animation with Transformers", CVPR 2022).

speech → wav2vec 2.0 → memory; style and past motion → biased causal decoder → offsets from the neutral template.

Departures from the released code, none of which changes a number in eval mode: motion feeds back through one folded
d×d matrix, keys and values are kept, cross-attention is written in closed form, D-wide products stand outside the
loop, clips come in padded batches, and no table limits a clip to 600 frames. In training, a frame that is fed back
and scored is one and the same: the released code draws its dropout anew at each step.

Shapes: B clips, L features at 50 Hz, S features given to the decoder, C channels, T frames, D = 3 V coordinates,
d decoder channels, K training subjects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faces.errors import DataError
from models.decoder import BiasedDecoder
from models.faceformer.settings import Settings
from models.folded import decode_folded, precise
from models.official import fit
from models.positions import periodic_encoding
from models.resample import align, features_per_frame, frame_count
from models.speech import FineTuning, SpeechEncoder, small_config
from models.talking_face import Clips, DataFacts


class FaceFormer(nn.Module):
    """The network. Parameter names are the released ones; see `models.talking_face` for what every method is for."""

    name: ClassVar[str] = "faceformer"

    def __init__(self, settings: Settings, facts: DataFacts) -> None:
        super().__init__()
        _check(settings, facts)
        d, wide = settings.feature_dim, 3 * facts.vertices
        self.settings = settings
        self.fps = facts.fps
        self.per_frame = features_per_frame(settings.alignment)
        self.audio_encoder = _speech_encoder(settings, facts)
        self.audio_feature_map = nn.Linear(self.audio_encoder.width, d)
        self.obj_vector = nn.Linear(len(facts.train_subjects), d, bias=False)
        self.vertice_map = nn.Linear(wide, d)
        self.vertice_map_r = nn.Linear(d, wide)
        self.transformer_decoder = BiasedDecoder(
            dim=d,
            heads=settings.heads,
            feedforward=settings.feedforward or 2 * d,
            layers=settings.layers,
            period=settings.period,
            per_frame=self.per_frame,
            dropout=settings.dropout,
        )
        self.position_dropout = nn.Dropout(settings.dropout)
        self._fold: tuple[object, tuple[Tensor, Tensor]] | None = None
        # An untrained network returns the template.
        nn.init.zeros_(self.vertice_map_r.weight)
        nn.init.zeros_(self.vertice_map_r.bias)

    @classmethod
    def build(cls, settings: Settings, facts: DataFacts) -> FaceFormer:
        """A freshly initialised network. DataError where settings and data do not go together."""
        return cls(settings, facts)

    def load_speech_weights(self, source: str) -> None:
        """Start from a pretrained speech encoder, as published (facebook/wav2vec2-base-960h)."""
        self.audio_encoder.load_pretrained(source)

    def load_official(self, state: Mapping[str, Tensor]) -> None:
        """Load a released checkpoint (`models.official.read_official`), which counts motion in the data's unit."""
        fit(self, state, tables={"PPE.pe": self.settings.period})
        with torch.no_grad():
            self.vertice_map.weight.mul_(self.settings.motion_scale)
            self.vertice_map_r.weight.div_(self.settings.motion_scale)
            self.vertice_map_r.bias.div_(self.settings.motion_scale)

    # -- speech ----------------------------------------------------------------------------------------------------

    def frames_for(self, feature_length: int) -> int:
        """T of L features at 50 Hz."""
        if self.settings.alignment == "pairs":
            return feature_length // 2
        return frame_count(feature_length, self.fps)

    def listen(self, features: Tensor, lengths: list[int], frames: list[int]) -> Tensor:
        """(B, L, C) at 50 Hz → the decoder's memory (B, S, d), S = per_frame·T.

        The frame rate changes between convolutions and transformer, which therefore runs at the motion's rate.
        """
        aligned = align(features.to(self.audio_feature_map.weight.dtype), lengths, frames, self.settings.alignment)
        hidden = self.audio_encoder(aligned, [self.per_frame * count for count in frames])  # (B, S, W)
        memory: Tensor = self.audio_feature_map(hidden)
        return memory

    # -- motion ----------------------------------------------------------------------------------------------------

    def decode_forced(self, memory: Tensor, style: Tensor, offsets: Tensor) -> Tensor:
        """Teacher forcing: (B or 1, S, d), (B, d), true offsets (B or 1, T, D) → output (B, T, d).

        The first token is the embedded zero offset plus style, i.e. bias + style, unlike `decode_own`'s: as released.
        """
        shifted = F.pad(offsets[:, :-1], (0, 0, 1, 0))
        tokens = self.vertice_map(shifted) + style[:, None]
        positions = periodic_encoding(tokens.shape[1], tokens.shape[2], self.settings.period, tokens.device)
        decoded: Tensor = self.transformer_decoder(self.position_dropout(tokens + positions), memory)
        return decoded

    def decode_own(self, memory: Tensor, style: Tensor) -> Tensor:
        """Autoregression: (B or 1, S, d), (B, d) → decoder output (B, T, d), frame after frame.

        y_0 = s and y_{i+1} = W_map·o_i + b_map + s with o_i = W_r·h_i + b_r, which is A·h_i + a: no D in the loop.
        """
        fold, constant = self._feedback()
        frames = memory.shape[1] // self.per_frame
        positions = periodic_encoding(frames, style.shape[1], self.settings.period, style.device)
        given = positions + (constant + style)[:, None]  # (B, T, d): all of a token but A·h
        given = torch.cat(((style + positions[0])[:, None], given[:, 1:]), dim=1)
        if not (torch.is_grad_enabled() or self.training):
            return decode_folded(self.transformer_decoder, memory, fold, given)
        decoding = self.transformer_decoder.begin(memory)
        outputs = [decoding.step(self.position_dropout(given[:, :1]))]
        for i in range(1, frames):
            token = F.linear(outputs[-1], fold) + given[:, i : i + 1]
            outputs.append(decoding.step(self.position_dropout(token)))
        return torch.cat(outputs, dim=1)

    def _feedback(self) -> tuple[Tensor, Tensor]:
        """A = W_map·W_r (d, d) and W_map·b_r + b_map (d,). Exact for gradients too: A is a function of both weights.

        Kept from clip to clip while nothing learns: at BIWI's size it costs a third of a clip.
        """
        inward, outward = self.vertice_map, self.vertice_map_r
        weights = (inward.weight, inward.bias, outward.weight, outward.bias)
        state = tuple((w.data_ptr(), 0 if w.is_inference() else w._version) for w in weights)
        if self._fold is not None and self._fold[0] == state and not torch.is_grad_enabled():
            return self._fold[1]
        with precise(inward.weight.device):  # sums over D terms
            folded = inward.weight @ outward.weight, F.linear(outward.bias, inward.weight, inward.bias)
        self._fold = None if torch.is_grad_enabled() else (state, folded)
        return folded

    def train(self, mode: bool = True) -> FaceFormer:
        """As every module's; forgets what was derived from the weights."""
        self._fold = None
        return super().train(mode)

    # -- training --------------------------------------------------------------------------------------------------

    def losses(self, clips: Clips) -> dict[str, Tensor]:
        """{"loss"}: mean over clips of the mean squared error over frames and coordinates, data units²."""
        return {"loss": self._losses(clips, (self.settings.teacher_forcing,))[0]}

    def validation_losses(self, clips: Clips) -> dict[str, Tensor]:
        """Both ways of measuring: "loss" on the network's own frames, as at inference and in published training;
        "teacher_forced" is what the released code prints while it trains. They cannot be compared with each other."""
        own, forced = self._losses(clips, (False, True))
        return {"loss": own, "teacher_forced": forced}

    def _losses(self, clips: Clips, ways: tuple[bool, ...]) -> list[Tensor]:
        """One loss per way of decoding, True for teacher forcing; the speech encoder runs once.

        One clip in several styles is heard once, and its memory and offsets serve all of them.
        """
        if clips.vertices is None or clips.frames is None:
            raise ValueError("losses need clips with vertices and frames")
        lengths = clips.feature_lengths.tolist()
        frames = self._covered(lengths, clips.frames.tolist())
        memory = self.listen(clips.features, lengths, frames)
        style = self.obj_vector(clips.style.to(memory.dtype))
        offsets = (clips.vertices[:, : max(frames)] - clips.template[:, None]) / self.settings.motion_scale  # (B, T, D)
        decoded = [
            self.decode_forced(memory, style, offsets) if forced else self.decode_own(memory, style) for forced in ways
        ]
        truth = offsets.expand(len(style), -1, -1)
        return [_clip_mean(F.mse_loss(self.vertice_map_r(h), truth, reduction="none"), frames) for h in decoded]

    def _covered(self, lengths: list[int], frames: list[int]) -> list[int]:
        """Frames to train on: features are stretched to the motion ("interpolate"), or the motion is cut to them."""
        if self.settings.alignment == "pairs":
            frames = [min(count, length // 2) for count, length in zip(frames, lengths, strict=True)]
        if min(frames) == 0:
            raise DataError("a clip to train on has no motion frame, or speech too short for one; leave it out")
        return frames

    # -- inference -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def predict(self, features: Tensor, template: Tensor, styles: Tensor) -> Tensor:
        """(L, C), (D,), (S, K) → (S, T, D): one clip in S styles. Meant for eval mode; then deterministic."""
        frames = self.frames_for(len(features))
        if frames == 0:
            raise DataError(f"{len(features)} speech features are too short for one motion frame at {self.fps:g} fps")
        memory = self.listen(features[None], [len(features)], [frames])  # (1, S, d)
        hidden = self.decode_own(memory, self.obj_vector(styles.to(memory.dtype)))  # (styles, T, d)
        scale, outward = self.settings.motion_scale, self.vertice_map_r
        return F.linear(hidden, outward.weight * scale, outward.bias * scale + template)


def _speech_encoder(settings: Settings, facts: DataFacts) -> SpeechEncoder:
    tuning = FineTuning(
        dropout=settings.encoder_dropout,
        layerdrop=settings.layerdrop,
        mask_prob=settings.mask_time_prob,
        mask_length=settings.mask_time_length,
    )
    if facts.encoder == "log-mel":
        width, layers, heads = settings.encoder_width, settings.encoder_layers, settings.encoder_heads
        return SpeechEncoder(small_config(facts.channels, width, layers, heads), tuning, convolutions=False)
    encoder = SpeechEncoder(facts.encoder_config, tuning)
    if encoder.channels != facts.channels:
        raise DataError(f"features have {facts.channels} channels, speech encoder {facts.encoder!r} {encoder.channels}")
    return encoder


def _check(settings: Settings, facts: DataFacts) -> None:
    """DataError where settings do not fit each other or the data."""
    for problem in settings.problems():
        raise DataError(problem)
    if settings.alignment == "pairs" and facts.fps != 25:
        raise DataError(f"alignment = 'pairs' needs motion at 25 fps, this is at {facts.fps:g}; use 'interpolate'")


def _clip_mean(errors: Tensor, frames: list[int]) -> Tensor:
    """(B, T, D) → the mean over clips of each clip's mean over its own frames and all coordinates.

    One number of frames is that of all.
    """
    per_frame = errors.mean(-1)  # (B, T)
    counts = torch.tensor(frames, device=errors.device)
    inside = torch.arange(per_frame.shape[1], device=errors.device) < counts[:, None]
    return (per_frame.where(inside, 0.0).sum(1) / counts).mean()
