"""TalkingStyle ("Personalized Speech-Driven 3D Facial Animation with Style Preservation", IEEE TVCG 2024).

speech → HuBERT → memory; a subject's style and past motion → biased causal decoder → offsets from the neutral template.

FaceFormer's autoregression (`models.autoregressive`, which says what departs from the released code) with a deeper
decoder, a style encoder of its own (`models.talkingstyle.style`) and a loss in which the mouth counts once more.

Shapes: T frames, D = 3 V coordinates, d decoder channels, K training subjects, M entries of the mouth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from faces.errors import DataError
from models.autoregressive import AutoregressiveFace, Score
from models.moving import make_decoder
from models.projected_error import Affine, projected_error
from models.talking_face import DataFacts
from models.talkingstyle.settings import Settings
from models.talkingstyle.style import StyleEncoder

if TYPE_CHECKING:
    from models.motion_prior import MotionPrior


class TalkingStyle(AutoregressiveFace):
    """The network. Parameter names are the released ones; see `models.talking_face` for what every method is for."""

    name: ClassVar[str] = "talkingstyle"
    settings: Settings
    mouth: Tensor | None

    def __init__(self, settings: Settings, facts: DataFacts) -> None:
        super().__init__(settings, facts)
        d, wide = settings.feature_dim, 3 * facts.vertices
        self.vertice_encoder = nn.Linear(wide, d)
        self.transformer_decoder = make_decoder(settings)
        self.vertice_decoder = nn.Linear(d, wide)
        self.style_encoder = StyleEncoder(len(facts.train_subjects), d, settings.dropout)
        self.register_buffer("mouth", _mouth(settings, facts), persistent=False)
        # As published, all layers start alike; and an untrained network returns the template.
        first, *others = self.transformer_decoder.layers
        for layer in others:
            layer.load_state_dict(first.state_dict())
        nn.init.zeros_(self.vertice_decoder.weight)
        nn.init.zeros_(self.vertice_decoder.bias)

    @classmethod
    def build(cls, settings: Settings, facts: DataFacts, prior: MotionPrior | None = None) -> TalkingStyle:
        """A freshly initialised network. DataError where settings and data do not go together. It takes no prior."""
        return cls(settings, facts)

    @property
    def inward(self) -> nn.Linear:
        return self.vertice_encoder

    @property
    def outward(self) -> nn.Linear:
        return self.vertice_decoder

    def style(self, styles: Tensor) -> Tensor:
        """(B, K) one-hot, or mixtures → (B, d), at least 0; a mixture's is that mixture of the subjects' styles."""
        embedded: Tensor = self.style_encoder(styles)
        return embedded

    def add_subject(self, weights: Sequence[float]) -> list[tuple[nn.Parameter, Tensor]]:
        """See `models.talking_face`; weights that are not below 0 give exactly that mixture of styles."""
        growth = self.style_encoder.add_subject(weights)
        self.subjects += 1
        return [growth]

    # -- training --------------------------------------------------------------------------------------------------

    def scoring(self) -> Score:
        """ "motion" and "mouth", mean squared errors of all coordinates and of the mouth's, those that its region
        repeats counted as often; and "loss", (1 − w)·motion + w·mouth. In the network's unit squared. Motion alone
        where nobody says where the mouth is, as of a released file: training is always told."""
        weight, rows = self.settings.mouth_weight, self.mouth
        if rows is None:
            return super().scoring()
        mouth = Affine(self.outward.weight[rows], self.outward.bias[rows])

        def score(hidden: Tensor, truth: Tensor) -> dict[str, Tensor]:
            whole = projected_error(hidden, self.outward, truth)
            part = projected_error(hidden, mouth, truth[:, rows])
            return {"loss": (1 - weight) * whole + weight * part, "motion": whole, "mouth": part}

        return score


def _mouth(settings: Settings, facts: DataFacts) -> Tensor | None:
    """(M,) int64: the coordinates that are the mouth, repeats kept. None where none is asked for, and where the data's
    region is not known, as of a released file."""
    if not settings.mouth_weight or settings.mouth not in facts.regions:
        return None
    numbers = list(facts.regions[settings.mouth])
    whole = settings.mouth_entries == "vertices"
    there = facts.vertices if whole else 3 * facts.vertices
    if wrong := [number for number in numbers if not 0 <= number < there]:
        raise DataError(
            f"region {settings.mouth!r} names {wrong[0]}, and the data's faces have {there} {settings.mouth_entries}; "
            "give the region of this topology"
        )
    if not numbers:
        raise DataError(f"region {settings.mouth!r} is empty; name another as mouth, or set mouth_weight = 0")
    entries = [3 * number + axis for number in numbers for axis in range(3)] if whole else numbers
    return torch.tensor(entries)
