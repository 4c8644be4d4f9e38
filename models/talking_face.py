"""What every network of this package offers to training and inference: a batch of clips in, losses or motion out.

Shapes: B clips, L speech-feature steps at 50 Hz, C feature channels, T motion frames, V vertices, D = 3 V, K training
subjects. Batches are padded at the end with zeros; `feature_lengths` and `frames` say where each clip stops, and a
padded batch gives every clip what it would get alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from torch import Tensor, nn

if TYPE_CHECKING:
    from models.motion_prior import MotionPrior


@dataclass(frozen=True)
class DataFacts:
    """What a network must know of its data. Stored in a checkpoint's config.json.

    vertices: V. fps: motion frames per second. train_subjects: names in the order of the one-hot style.
    channels: C; 0, with encoder "", for networks that hear nothing. encoder: "log-mel", or the hub id or folder of the
    speech encoder whose convolutions made the features. encoder_config: that encoder's configuration as `transformers`
    writes it; empty for "log-mel". regions: name → vertex indices in published order, repeats kept: those that the
    network's settings ask for. vocabulary: what the classes of a recogniser's logits stand for, and text_width: H of
    its hidden states, where the network learns with text; else empty and 0. tokeniser: of a lip reader, the whole
    content of what cuts its texts into pieces (`models.lipreader.tokeniser`); else empty. track: name of the track
    whose rows stand in the place of vertices, where the network's settings want one; else empty. width: D, the numbers
    of a frame: 3 V, or the track's. framewise: whether features are what the encoder's frozen transformer says of each
    frame, so that L is T; encoder_config is then empty where nobody knows what made them.
    """

    vertices: int
    fps: float
    train_subjects: Sequence[str]
    channels: int
    encoder: str
    encoder_config: Mapping[str, Any] = field(default_factory=dict)
    regions: Mapping[str, Sequence[int]] = field(default_factory=dict)
    vocabulary: Sequence[str] = ()
    text_width: int = 0
    tokeniser: Mapping[str, Any] = field(default_factory=dict)
    track: str = ""
    width: int = 0
    framewise: bool = False

    def __post_init__(self) -> None:
        """Checkpoints of before there were tracks say no width."""
        if not self.width:
            object.__setattr__(self, "width", 3 * self.vertices)


@dataclass(frozen=True)
class Clips:
    """A padded batch.

    features: (B, L, C). feature_lengths: (B,) int; both are empty, (B, 0, 0) and zeros, for networks that hear nothing.
    template: (B, D). style: (B, K) one-hot, or any mixture. vertices: (B, T, D) absolute positions, or None at
    inference. frames: (B,) int, or None at inference. Of networks that make no motion, template is empty, (B, 0), and
    vertices and frames are None unless they want the mouth. codes: (B, T, Q) int64, what the frozen motion prior makes
    of each clip, where it was computed beforehand; a clip's codes are those of the frames that are trained on.
    text_hidden: (B, L, H), a frozen recogniser's last hidden states, as many as features. text: (B, S) int64, what is
    said, as classes of the vocabulary; text_lengths: (B,) int. sound: (B, N), the wave at 16 kHz, full scale ±1;
    sound_lengths: (B,) int. All five only for networks whose settings want them.
    sentences: (B,) int, a number that no other sequence of the data has, by which a network may remember what it heard.
    Where B is 1, style may be (S, K): one clip in S styles, whose losses are the means over them, and whose speech
    needs to be heard only once. Validation gives such clips.
    """

    features: Tensor
    feature_lengths: Tensor
    template: Tensor
    style: Tensor
    vertices: Tensor | None = None
    frames: Tensor | None = None
    codes: Tensor | None = None
    text_hidden: Tensor | None = None
    text: Tensor | None = None
    text_lengths: Tensor | None = None
    sound: Tensor | None = None
    sound_lengths: Tensor | None = None
    sentences: Tensor | None = None

    def to(self, device: Any) -> Clips:
        moved = {name: value.to(device) for name, value in vars(self).items() if value is not None}
        return Clips(**moved)


@dataclass(frozen=True)
class Speech:
    """What to say and how: features (L, C), template (D,), styles (S, K).

    seeds: of a network that draws, one motion for each; the styles' axis of the answer is then theirs. Empty: one
    motion, of seed 0. A motion hangs on its own seed alone.
    frames: for a network whose settings say `fits_motion`, how many frames the motion has; 0: as many as the sound's
    length says. All others go by that always.
    """

    features: Tensor
    template: Tensor
    styles: Tensor
    seeds: Sequence[int] = ()
    frames: int = 0

    @property
    def motions(self) -> int:
        """How many are asked for."""
        return len(self.seeds) or len(self.styles)


class TalkingFace(Protocol):
    """The face that the train and infer stages see. Implementations are `torch.nn.Module`s.

    Their `Settings` may have a light `problems() -> Iterable[str]`, called while planning: sentences on settings that
    do not go together, each beginning with the name of one. `prior: ClassVar[str]` there names the model that must be
    trained first (`models.motion_prior`); `hears: ClassVar[bool] = False` marks a prior itself. `wants() ->
    Wants` there (`models.settings`) names regions and text that the network learns with. `moves: ClassVar[bool] =
    False` there marks a network that makes no motion, a recogniser: it has all up to `validation_losses` and nothing
    below, its clips have neither template nor vertices, its losses alone judge it, and nothing that speaks takes it.
    `styles: ClassVar[bool] = False` marks a face that moves alike in every style: a sentence is spoken once.
    `draws: ClassVar[bool] = True` marks one that draws its motion: it answers to the seeds of a `Speech`, and has
    `sampling: models.sampling.Sampling` and `sample_with(sampling) -> None`. Before the first step of a training, one
    that has `study(motions)` is shown all of its training motion: `motions()` begins anew each time it is called, and
    gives motion (T, D) and template (D,) of every training sequence, in the data's order.

    A network built upon a prior keeps it frozen, in eval mode and out of its own state dict: it is stored beside it.
    It may offer `bound_context(frames: int)`, to look back on that many frames of its own motion only (0: all, exact),
    `predict_blocks`, for clips whose motion is larger than memory, and `stream`, for speech that is still being spoken.

    One with a table of styles may offer what the stage `style` asks (`Styled`).

    One that reads lips has `reads: bool`, `vocabulary: tuple[str, ...]` and `read_lips(motion (T, D), template (D,)) ->
    logits (N, classes)`, which takes the lips out of the motion first: it may be a mapped file, larger than memory.
    """

    name: ClassVar[str]

    @classmethod
    def build(cls, settings: Any, facts: DataFacts, prior: MotionPrior | None = None) -> TalkingFace:
        """A freshly initialised network; the speech encoder has the right shape but no pretrained weights. prior: a
        loaded one, for models whose `Settings` name one."""
        ...

    def load_speech_weights(self, source: str) -> None:
        """Fill the speech encoder from a `transformers` checkpoint (hub id or folder)."""
        ...

    def load_official(self, state: Mapping[str, Tensor]) -> None:
        """Load a published checkpoint's state dict. DataError when it is another model's or another size."""
        ...

    def frames_to_learn(self, frames: int, feature_length: int) -> int:
        """How many of a clip's motion frames are trained on, given L feature steps."""
        ...

    def losses(self, clips: Clips) -> dict[str, Tensor]:
        """Training losses; "loss" is the one to minimise, the others are its parts. Mean over clips."""
        ...

    def validation_losses(self, clips: Clips) -> dict[str, Tensor]:
        """What the paper prints while training; "loss" chooses the best checkpoint. Mean over clips, or over the
        styles of the only one."""
        ...

    def frames_for(self, feature_length: int) -> int:
        """How many motion frames inference makes of L feature steps."""
        ...

    def predict(self, features: Tensor, template: Tensor, styles: Tensor) -> Tensor:
        """One clip in several styles: (L, C), (D,), (S, K) → (S, T, D). The speech encoder runs once."""
        ...

    def predict_all(self, speeches: Sequence[Speech]) -> list[Tensor]:
        """Several clips at once, each as `predict` would give it, to rounding."""
        ...


class Styled(TalkingFace, Protocol):
    """A talking face that can take a new speaker in, with all that it has learnt left as it is."""

    def add_subject(self, weights: Sequence[float]) -> list[tuple[nn.Parameter, Tensor]]:
        """One subject more, the last, who begins as this mixture (K weights) of the others. Returns the tables of
        style, each with the bool mask of the newcomer's entries; all others stay as they are."""
        ...

    def hear(self, clips: Clips) -> Any:
        """What the losses need of the clips' speech and truth, so that it is made once, whatever style follows."""
        ...

    def lesson_losses(self, lesson: Any, clips: Clips) -> dict[str, Tensor]:
        """`losses(clips)` where `lesson` is `hear(clips)`."""
        ...
