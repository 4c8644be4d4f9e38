"""What a recipe may set of SelfTalk. Defaults are the published values for VOCASET, BIWI's stand in the helps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from models.settings import ListeningSettings, Wants, setting


@dataclass(frozen=True)
class Settings(ListeningSettings):
    """Sizes of the facial animator and of the lip-reading interpreter, and how the four losses weigh.

    With `latent_weight` and `text_weight` 0 there is no interpreter, and no text is asked for.
    """

    styles: ClassVar[bool] = False

    feature_dim: int = setting(512, "channels d of the animator; 512 VOCASET, 1024 BIWI (official code)", low=2)
    layers: int = setting(1, "layers of the animator; 1 as published", low=1)
    motion_scale: float = setting(
        1.0,
        "length, in the data's unit, that the network counts motion in; 1 as published. About the standard deviation "
        "of the motion makes training from scratch much quicker; position and velocity losses are then in this unit "
        "squared",
        low=1e-9,
    )

    encoder_dropout: float = setting(
        0.05, "dropout of the speech encoder's transformer, but for its attention; 0.05 as published", low=0.0, high=0.9
    )
    encoder_attention_dropout: float = setting(
        0.1, "dropout of the speech encoder's attention weights; 0.1 as published", low=0.0, high=0.9
    )
    layerdrop: float = setting(
        0.05, "probability of skipping a layer of the speech encoder; 0.05 as published", low=0.0, high=0.9
    )

    interpreter_layers: int = setting(
        6, "layers of the lip-reading interpreter's encoder, and of its decoder; 6 as published", low=1
    )
    interpreter_heads: int = setting(8, "attention heads of the interpreter; 8 as published", low=1)
    interpreter_feedforward: int = setting(
        2048, "channels of the interpreter's feed-forward parts; 2048 as published", low=1
    )
    lips: str = setting("lips", "the region whose vertices the interpreter reads")
    lip_vertices: int = setting(
        0, "how many vertices it reads, where no region tells: of a released file; 0: those of the region", low=0
    )
    classes: int = setting(
        0, "how many letters it tells apart, where no vocabulary says: of a released file; 0: the vocabulary's", low=0
    )

    position_weight: float = setting(1000.0, "weight of the squared error of positions; 1000 as published", low=0.0)
    velocity_weight: float = setting(
        1000.0, "weight of the squared error of changes from frame to frame; 1000 as published", low=0.0
    )
    latent_weight: float = setting(
        0.001,
        "weight of the squared distance of the interpreter's features to the recogniser's; 0.001 as published",
        low=0.0,
    )
    text_weight: float = setting(
        0.0001, "weight of the CTC loss of the text that is read from the lips; 0.0001 as published", low=0.0
    )

    @property
    def attention_dropout(self) -> float:
        return self.encoder_attention_dropout

    @property
    def reads_lips(self) -> bool:
        """Whether there is an interpreter."""
        return self.latent_weight > 0 or self.text_weight > 0

    def wants(self) -> Wants:
        """The lips, and what a recogniser heard; neither where nothing is learnt of them."""
        return Wants((self.lips,), "heard", 2 if self.alignment == "pairs" else 0) if self.reads_lips else Wants()

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        if self.reads_lips and not self.lips:
            yield "lips = '' names no region, and the interpreter reads one; set latent_weight and text_weight to 0"
