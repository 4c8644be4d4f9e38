"""What all faces share that listen with a fine-tuned speech encoder and move with the biased decoder.

The published networks of this family hear alike: convolutions of a speech encoder (frozen), a change of frame rate, its
transformer (trained), a linear map to the decoder's memory. `ListeningFace` holds that, the rules of how many frames a
clip has, and teacher forcing; a face adds its style, its motion layers and its decoder.

Shapes: B clips, L features at 50 Hz, S = T·per_frame memory steps, C feature channels, T frames, D = 3 V coordinates,
d decoder channels, K training subjects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from faces.errors import DataError
from models.decoder import BiasedDecoder
from models.padding import Padding, clip_means
from models.positions import periodic_encoding
from models.resample import align, features_per_frame, frame_count
from models.settings import FaceSettings
from models.speech import FineTuning, SpeechEncoder, small_config
from models.talking_face import Clips, DataFacts, Speech


class Lesson(NamedTuple):
    """A batch to learn from: memory (B, S, d), frames per clip, and true vertices (B, T, D) of those frames."""

    memory: Tensor
    frames: list[int]
    vertices: Tensor


class ListeningFace(nn.Module):
    """Speech in, memory out. Parameter names are those of the released networks.

    A face makes `vertice_map` (D → d), which turns motion into tokens, and `transformer_decoder`, by `make_decoder`.
    """

    settings: FaceSettings
    vertice_map: nn.Linear
    transformer_decoder: BiasedDecoder

    def __init__(self, settings: FaceSettings, facts: DataFacts) -> None:
        super().__init__()
        _check(settings, facts)
        self.settings = settings
        self.fps = facts.fps
        self.per_frame = features_per_frame(settings.alignment)
        self.audio_encoder = _speech_encoder(settings, facts)
        self.audio_feature_map = nn.Linear(self.audio_encoder.width, settings.feature_dim)
        self.position_dropout = nn.Dropout(settings.dropout)

    def load_speech_weights(self, source: str) -> None:
        """Start from a pretrained speech encoder, as published (facebook/wav2vec2-base-960h)."""
        self.audio_encoder.load_pretrained(source)

    def frames_for(self, feature_length: int) -> int:
        """T of L features at 50 Hz."""
        if self.settings.alignment == "pairs":
            return feature_length // 2
        return frame_count(feature_length, self.fps)

    def frames_to_learn(self, frames: int, feature_length: int) -> int:
        """Of a clip of so many frames, how many are trained on: those that its speech covers, or all of them."""
        return min(frames, feature_length // 2) if self.settings.alignment == "pairs" else frames

    def listen(self, features: Tensor, lengths: list[int], frames: list[int]) -> Tensor:
        """(B, L, C) at 50 Hz → the decoder's memory (B, S, d), S = per_frame·T.

        The frame rate changes between convolutions and transformer, which therefore runs at the motion's rate.
        """
        aligned = align(features.to(self.audio_feature_map.weight.dtype), lengths, frames, self.settings.alignment)
        hidden = self.audio_encoder(aligned, [self.per_frame * count for count in frames])  # (B, S, W)
        memory: Tensor = self.audio_feature_map(hidden)
        return memory

    def listen_to(self, speeches: Sequence[Speech], least: int) -> tuple[Tensor, list[int]]:
        """Each speech once: memory (clips, S, d) and frames per clip. DataError below `least` frames."""
        lengths = [len(speech.features) for speech in speeches]
        frames = [self.frames_for(length) for length in lengths]
        for length, count in zip(lengths, frames, strict=True):
            if count < least:
                wanted = "one motion frame" if least == 1 else f"{least} motion frames"
                raise DataError(f"{length} speech features are too short for {wanted} at {self.fps:g} fps")
        features = pad_sequence([speech.features for speech in speeches], batch_first=True)
        return self.listen(features, lengths, frames), frames

    def hear(self, clips: Clips) -> Lesson:
        """Training clips: stretches the speech to the motion ("interpolate"), or cuts the motion to it ("pairs")."""
        if clips.vertices is None or clips.frames is None:
            raise ValueError("losses need clips with vertices and frames")
        lengths, frames = clips.feature_lengths.tolist(), clips.frames.tolist()
        frames = [self.frames_to_learn(count, length) for count, length in zip(frames, lengths, strict=True)]
        if min(frames) == 0:
            raise DataError("a clip to train on has no motion frame, or speech too short for one; leave it out")
        return Lesson(self.listen(clips.features, lengths, frames), frames, clips.vertices[:, : max(frames)])

    def decode_forced(self, memory: Tensor, style: Tensor, offsets: Tensor) -> Tensor:
        """Teacher forcing: (B or 1, S, d), (B, d), true offsets (B or 1, T, D) → decoder output (B, T, d).

        The first token is the embedded zero offset plus style, i.e. bias + style, unlike autoregression's: as released.
        """
        shifted = F.pad(offsets[:, :-1], (0, 0, 1, 0))
        tokens = self.vertice_map(shifted) + style[:, None]
        positions = periodic_encoding(tokens.shape[1], tokens.shape[2], self.settings.period, tokens.device)
        decoded: Tensor = self.transformer_decoder(self.position_dropout(tokens + positions), memory)
        return decoded


def make_decoder(settings: FaceSettings) -> BiasedDecoder:
    """The biased decoder of a face's settings."""
    return BiasedDecoder(
        dim=settings.feature_dim,
        heads=settings.heads,
        feedforward=settings.feedforward or 2 * settings.feature_dim,
        layers=settings.layers,
        period=settings.period,
        per_frame=features_per_frame(settings.alignment),
        dropout=settings.dropout,
    )


def clip_mean(errors: Tensor, frames: Sequence[int]) -> Tensor:
    """(B, T, …) → the mean over clips of each clip's mean over its own frames and everything else.

    One number of frames is that of all.
    """
    per_frame = errors.flatten(2).mean(-1)
    return clip_means(per_frame, Padding.of(frames, per_frame.shape[1], errors.device)).mean()


def _speech_encoder(settings: FaceSettings, facts: DataFacts) -> SpeechEncoder:
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


def _check(settings: FaceSettings, facts: DataFacts) -> None:
    """DataError where settings do not fit each other or the data."""
    for problem in settings.problems():
        raise DataError(problem)
    if settings.alignment == "pairs" and facts.fps != 25:
        raise DataError(f"alignment = 'pairs' needs motion at 25 fps, this is at {facts.fps:g}; use 'interpolate'")
