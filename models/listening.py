"""What all faces share that listen with a fine-tuned speech encoder.

The published networks of this family hear alike: convolutions of a speech encoder (frozen), a change of frame rate, its
transformer (trained), a linear map to the decoder's memory. `ListeningFace` holds that, the rules of how many frames a
clip has, and speech as a stream; a face adds its style, its motion layers and its decoder.

Shapes: N samples at 16 kHz, B clips, L features at 50 Hz, S = T·per_frame memory steps, C feature channels, T frames,
D = 3 V coordinates, d decoder channels, K training subjects.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from faces.errors import DataError
from models.blending import joined, window_starts
from models.logmel import log_mel
from models.padding import Padding, clip_means
from models.resample import FEATURE_RATE, align, features_per_frame, frame_count
from models.settings import ListeningSettings, takes_frames
from models.sound import Wave
from models.speech import FineTuning, SpeechEncoder, small_config
from models.streaming import NEAR, Look, stream
from models.talking_face import Clips, DataFacts, Speech

LOG_MEL = "log-mel"
SHARED = 0.25
"""Share of a window of speech that was heard in the one before."""
BLOCK = 256
"""Frames that are formed at once where a clip is long: 72 MB of BIWI's."""


class Lesson(NamedTuple):
    """A batch to learn from: memory (B, S, d), frames per clip, true vertices (B, T, D) of those frames, and the codes
    (B, T, Q) that a motion prior makes of them, where they are what the network predicts."""

    memory: Tensor
    frames: list[int]
    vertices: Tensor
    codes: Tensor | None = None


class AsGiven(nn.Module):
    """In the place of an encoder where its last states are given: they stay as they are. width: C"""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, features: Tensor, lengths: list[int]) -> Tensor:
        """(B, T, C) → (B, T, C)"""
        return features


class ListeningFace(nn.Module):
    """Speech in, memory out. Parameter names are those of the released networks.

    A face offers `predict_blocks`, and may offer `voice`, which turns memory into motion as it comes.
    """

    least: ClassVar[int] = 1
    """Frames of the shortest clip that it can speak."""

    settings: ListeningSettings

    def __init__(self, settings: ListeningSettings, facts: DataFacts) -> None:
        super().__init__()
        _check(settings, facts)
        self.settings = settings
        self.fps = facts.fps
        self.coordinates = 3 * facts.vertices
        self.subjects = len(facts.train_subjects)
        self.per_frame = features_per_frame(settings.alignment)
        self.log_mel = facts.encoder == LOG_MEL
        self.framewise = facts.framewise
        self.joins = 1  # steps of the speech encoder that make one of the memory
        self.hearing = 0  # steps that the speech encoder hears at once; 0: all
        self.audio_encoder = _speech_encoder(settings, facts)
        self.audio_feature_map = nn.Linear(self.audio_encoder.width, settings.feature_dim)

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
        steps = [self.per_frame * count for count in frames]
        if self.hearing and not self.training and max(steps) > self.hearing:
            clips = zip(aligned, steps, strict=True)
            return pad_sequence([self._listen_in_windows(clip[:count]) for clip, count in clips], batch_first=True)
        memory: Tensor = self.audio_feature_map(self.audio_encoder(aligned, steps))  # (B, S, W) → (B, S, d)
        return memory

    def encode(self, aligned: Tensor, own: slice) -> Tensor:
        """Features at the motion's rate (1, S, C) → the memory of some of these steps (1, n, d)."""
        memory: Tensor = self.audio_feature_map(self.audio_encoder(aligned, [aligned.shape[1]])[:, own])
        return memory

    def bound_hearing(self, seconds: float) -> None:
        """An approximation for clips of hours: the speech encoder hears that much at once, and what it makes of
        neighbouring windows is blended; 0: all of a clip, exact. Rounded up to whole frames. Training always hears
        all."""
        if not (seconds == 0 or 1 <= seconds < math.inf):
            raise DataError(f"window = {seconds:g}: the speech encoder hears a second or more at once; 0 is all")
        steps = round(seconds * (FEATURE_RATE if self.per_frame == 2 else self.fps))
        self.hearing = steps + steps % self.per_frame  # whole frames

    def _listen_in_windows(self, aligned: Tensor) -> Tensor:
        """(S, C) → (S // joins, d). Windows begin with whole steps of the memory."""
        n = self.joins
        window = self.hearing // n
        overlap = round(SHARED * window)
        starts = window_starts(len(aligned) // n, window, overlap)
        parts = ((start, aligned[None, n * start : n * start + self.hearing]) for start in starts)
        return joined(((start, self.encode(part, slice(None))[0]) for start, part in parts), overlap)

    def listen_to(self, speeches: Sequence[Speech]) -> tuple[Tensor, list[int]]:
        """Each speech once: memory (clips, S, d) and frames per clip. DataError for one that is too short."""
        lengths = [len(speech.features) for speech in speeches]
        for length in lengths:
            self.check_length(length)
        frames = [self.frames_for(length) for length in lengths]
        features = pad_sequence([speech.features for speech in speeches], batch_first=True)
        return self.listen(features, lengths, frames), frames

    def check_length(self, feature_length: int) -> None:
        """DataError where L features are too short for a clip."""
        if self.frames_for(feature_length) < self.least:
            wanted = "one motion frame" if self.least == 1 else f"{self.least} motion frames"
            raise DataError(f"{feature_length} speech features are too short for {wanted} at {self.fps:g} fps")

    def hear(self, clips: Clips) -> Lesson:
        """Training clips: stretches the speech to the motion ("interpolate"), or cuts the motion to it ("pairs")."""
        if clips.vertices is None or clips.frames is None:
            raise ValueError("losses need clips with vertices and frames")
        lengths, frames = clips.feature_lengths.tolist(), clips.frames.tolist()
        frames = [self.frames_to_learn(count, length) for count, length in zip(frames, lengths, strict=True)]
        if min(frames) == 0 or min(lengths) == 0:
            raise DataError("a clip to train on has no motion frame, or speech too short for one; leave it out")
        return Lesson(self.listen(clips.features, lengths, frames), frames, clips.vertices[:, : max(frames)])

    # -- sound as it comes ---------------------------------------------------------------------------------------------

    def features_of(self, wave: Wave) -> Tensor:
        """Standardised sound (N,) → features (L, C) at 50 Hz: those that a network like this is trained on."""
        device = self.audio_feature_map.weight.device
        if self.log_mel:
            return torch.from_numpy(log_mel(wave)).to(device)
        return self.audio_encoder.convolve(torch.from_numpy(wave)[None].to(device))[0]

    def voice(self, memories: Iterable[Tensor], template: Tensor, style: Tensor) -> Iterator[Tensor]:
        """One clip in one style, (D,) and (K,): memory (1, n·per_frame, d) of ever more frames → absolute positions
        (n, D), as soon as they are final. DataError where the network cannot."""
        raise NotImplementedError

    def predict_blocks(self, speech: Speech, block: int = BLOCK) -> Iterator[Tensor]:
        """One clip of any length in its S styles, (S, n, D) at a time, n up to `block`."""
        raise NotImplementedError

    def stream(
        self, audio_blocks: Iterable[Any], template: Tensor, style: Tensor, look: Look = NEAR
    ) -> Iterator[Tensor]:
        """Sound as it is spoken → absolute positions (n, D) float32 as soon as they can be known: `streaming.stream`.

        audio_blocks: float arrays (N,) at 16 kHz, of any sizes. template: (D,). style: (K,). Meant for eval mode.
        """
        return stream(self, audio_blocks, template, style, look)


def clip_mean(errors: Tensor, frames: Sequence[int]) -> Tensor:
    """(B, T, …) → the mean over clips of each clip's mean over its own frames and everything else.

    One number of frames is that of all.
    """
    per_frame = errors.flatten(2).mean(-1)
    return clip_means(per_frame, Padding.of(frames, per_frame.shape[1], errors.device)).mean()


def speech_encoder(facts: DataFacts, tuning: FineTuning, small: Mapping[str, Any]) -> SpeechEncoder:
    """The one whose convolutions made the features, without pretrained weights; for log-mel features one of the
    configuration `small`. DataError where the data's features are of other sizes, or of no convolutions."""
    if facts.framewise:
        raise DataError(framewise_refused(facts.encoder))
    if facts.encoder == LOG_MEL:
        return SpeechEncoder(small, tuning, convolutions=False)
    encoder = SpeechEncoder(facts.encoder_config, tuning)
    if encoder.channels != facts.channels:
        raise DataError(f"features have {facts.channels} channels, speech encoder {facts.encoder!r} {encoder.channels}")
    return encoder


def _speech_encoder(settings: ListeningSettings, facts: DataFacts) -> SpeechEncoder:
    if facts.framewise:
        return cast("SpeechEncoder", AsGiven(facts.channels))  # of which a face asks no more than this one has
    tuning = FineTuning(
        dropout=settings.encoder_dropout,
        attention_dropout=settings.attention_dropout,
        layerdrop=settings.layerdrop,
        mask_prob=settings.mask_time_prob,
        mask_length=settings.mask_time_length,
    )
    width, layers, heads = settings.encoder_width, settings.encoder_layers, settings.encoder_heads
    return speech_encoder(facts, tuning, small_config(facts.channels, width, layers, heads))


def framewise_refused(encoder: str) -> str:
    """What a network is told that goes on from convolutions and is given a step a frame."""
    return (
        f"features are what {encoder} says of each frame, and this network has a transformer of its own upon features "
        "at 50 Hz: leave per_frame and track out of the features step"
    )


def _check(settings: ListeningSettings, facts: DataFacts) -> None:
    """DataError where settings do not fit each other or the data."""
    for problem in settings.problems():
        raise DataError(problem)
    if facts.framewise and not takes_frames(settings):
        raise DataError(framewise_refused(facts.encoder))
    if settings.alignment == "pairs" and facts.fps != 25:
        raise DataError(f"alignment = 'pairs' needs motion at 25 fps, this is at {facts.fps:g}; use 'interpolate'")
