"""What a recipe may set of every face that listens with a speech encoder, and of those with the biased decoder.

Light to import. A model's own `Settings` derive from one of these, give `feature_dim` and `layers` their published
defaults, and add what is the model's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


def setting(default: Any, help: str, **limits: Any) -> Any:
    """A field with its help and limits ("choices", "low", "high"), which recipes are checked against."""
    return field(default=default, metadata={"help": help, **limits})


@dataclass(frozen=True)
class Wants:
    """What a network learns with beside speech and motion.

    regions: the data's, by name; they come in `DataFacts.regions`. text: "heard", what a frozen recogniser made of the
    sound (`text_hidden` and `text` of the clips); "written", the data's transcripts, letter by letter (`text` alone);
    "pieces", the same as a lip reader's pieces of text; "" for none.
    per_frame: speech features that a motion frame owns, where what is heard behind a clip's last whole frame is not in
    its `text`; 0: all that is heard. sound: the wave itself (`sound` of the clips). mouth: the mouth on a picture; the
    network is told the mesh and the camera (`watch`), and one that makes no motion itself is shown the true one.
    expert: the model that judges it, which a step before has trained or taken over: the slot `expert`; "" for none.
    track: the rows of this track of the data take the place of vertices; "": vertices.
    """

    regions: tuple[str, ...] = ()
    text: str = ""
    per_frame: int = 0
    sound: bool = False
    mouth: bool = False
    expert: str = ""
    track: str = ""


def wants_of(settings: Any) -> Wants:
    """What `settings.wants()` says; nothing where a model's settings have no such method."""
    asked = getattr(settings, "wants", None)
    found: Wants = asked() if asked else Wants()
    return found


def moves(settings: Any) -> bool:
    """Whether a network of these settings, or of this class of them, makes motion; a recogniser does not."""
    return bool(getattr(settings, "moves", True))


def draws(settings: Any) -> bool:
    """Whether a network of these settings, or of this class of them, draws its motion, so that a sentence has as many
    as one asks for; else it is one and the same."""
    return bool(getattr(settings, "draws", False))


def has_styles(settings: Any) -> bool:
    """Whether a network of these settings, or of this class of them, speaks in the style that it is given; else all
    styles are one motion."""
    return bool(getattr(settings, "styles", True))


def takes_frames(settings: Any) -> bool:
    """Whether a network of these settings, or of this class of them, may be given what a frozen speech encoder said of
    each frame; else it has an encoder of its own that goes on from the features at 50 Hz."""
    return bool(getattr(settings, "takes_frames", False))


@dataclass(frozen=True)
class ListeningSettings:
    """Sizes of the decoder, how speech meets motion, and how the speech encoder is trained."""

    feature_dim: int
    layers: int
    heads: int = setting(4, "attention heads of the decoder; 4 as published", low=1)
    feedforward: int = setting(
        0, "channels of the decoder's feed-forward part; 0 is 2·feature_dim, as published", low=0
    )
    dropout: float = setting(0.1, "dropout of the decoder", low=0.0, high=0.9)
    alignment: str = setting(
        "interpolate",
        "speech to motion: 'interpolate' stretches the features to the frame rate (VOCASET), "
        "'pairs' gives each frame two features and needs 25 fps (BIWI)",
        choices=("interpolate", "pairs"),
    )

    encoder_dropout: float = setting(0.1, "dropout of the speech encoder's transformer", low=0.0, high=0.9)
    layerdrop: float = setting(0.1, "probability of skipping a layer of the speech encoder", low=0.0, high=0.9)
    mask_time_prob: float = setting(
        0.05,
        "share of speech features where a hidden span starts, at least two spans a clip; 0: none",
        low=0.0,
        high=1.0,
    )
    mask_time_length: int = setting(10, "length of a hidden span, in speech features", low=1)

    encoder_layers: int = setting(3, "log-mel features only: layers of the speech encoder, trained from scratch", low=1)
    encoder_width: int = setting(192, "log-mel features only: its channels, a multiple of 16 and of its heads", low=16)
    encoder_heads: int = setting(4, "log-mel features only: its attention heads", low=1)

    @property
    def attention_dropout(self) -> float:
        """Dropout of the speech encoder's attention weights."""
        return self.encoder_dropout

    def problems(self) -> Iterator[str]:
        """Sentences on settings that do not go together, each beginning with the name of one."""
        if self.feature_dim % self.heads:
            yield f"feature_dim = {self.feature_dim} is no multiple of heads = {self.heads}"
        width, heads = self.encoder_width, self.encoder_heads
        if width % 16 or width % heads:
            yield f"encoder_width = {width} must be a multiple of 16 and of encoder_heads = {heads}"


@dataclass(frozen=True)
class FaceSettings(ListeningSettings):
    """Those of the faces that move with the biased decoder."""

    period: int = setting(30, "frames p after which positions repeat; 30 VOCASET, 25 BIWI: one second", low=1)


@dataclass(frozen=True)
class AutoregressiveSettings(FaceSettings):
    """Those of the faces whose own frames come back as tokens (`models.autoregressive`)."""

    motion_scale: float = setting(
        1.0,
        "length, in the data's unit, that the network counts motion in; 1 as published. About the standard deviation "
        "of the motion makes training from scratch much quicker; the loss is then in this unit squared",
        low=1e-9,
    )
    teacher_forcing: bool = setting(False, "train on true instead of own earlier frames; published: false")
