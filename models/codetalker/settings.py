"""What a recipe may set of CodeTalker's second stage. Defaults are the published values for VOCASET, BIWI's stand in
the helps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from models.settings import FaceSettings, setting


@dataclass(frozen=True)
class Settings(FaceSettings):
    """Sizes of the decoder, how speech meets motion, how the speech encoder is trained, and the weights of the losses.

    The unit of motion and the codebook are the prior's.
    """

    prior: ClassVar[str] = "codetalker-vq"

    feature_dim: int = setting(1024, "channels d of the decoder; 1024 as published", low=2)
    layers: int = setting(6, "decoder layers; 6 VOCASET, 12 BIWI (official code)", low=1)
    motion_weight: float = setting(1.0, "weight of the decoded motion's squared error; 1 as published", low=0.0)
    code_weight: float = setting(1.0, "weight of the features' squared distance to the codes; 1 as published", low=0.0)
