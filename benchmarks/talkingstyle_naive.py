"""TalkingStyle's training as published: FaceFormer's growing prefix (`benchmarks.training_naive`) through six layers.

Under the names of the released weights, with `transformers`' own HuBERT. The style encoder is ours: it has one row of
numbers a clip, and costs nothing. (IEEE TVCG 2024.) Shapes: T frames, D = 3 V coordinates, d channels, K subjects.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.training_naive import NaiveRollOut
from models.talking_face import DataFacts
from models.talkingstyle.settings import Settings
from models.talkingstyle.style import StyleEncoder


class NaiveTalkingStyle(NaiveRollOut):
    """The network of the paper. The mouth's numbers are those of coordinates, as released."""

    inward, outward = "vertice_encoder", "vertice_decoder"
    mouth: Tensor

    def __init__(self, settings: Settings, facts: DataFacts) -> None:
        super().__init__(settings, facts)
        self.style_encoder = StyleEncoder(len(facts.train_subjects), settings.feature_dim, settings.dropout)
        self.register_buffer("mouth", torch.tensor(list(facts.regions[settings.mouth])), persistent=False)

    def style(self, one_hot: Tensor) -> Tensor:
        embedded: Tensor = self.style_encoder(one_hot)
        return embedded

    def score(self, moved: Tensor, truth: Tensor) -> Tensor:
        """(1 − w)·all + w·mouth, mean squared errors."""
        weight = self.settings.mouth_weight
        mouth = F.mse_loss(moved[..., self.mouth], truth[..., self.mouth])
        return (1 - weight) * F.mse_loss(moved, truth) + weight * mouth
