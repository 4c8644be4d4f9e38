"""What a discrete motion prior offers: motion in, codes or rebuilt motion out. It hears nothing.

A prior is trained by the stage `train` like any network, then frozen: a talking face that predicts codes is built upon
it. Shapes: B clips, T motion frames, D = 3 V coordinates, Q tokens per frame, K codes in the codebook.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from torch import Tensor

from models.talking_face import Clips, DataFacts


class MotionPrior(Protocol):
    """The prior that stages and talking faces see. Implementations are `torch.nn.Module`s.

    codes: K. tokens: Q.
    """

    name: ClassVar[str]
    codes: int
    tokens: int

    @classmethod
    def build(cls, settings: Any, facts: DataFacts) -> MotionPrior:
        """A freshly initialised prior."""
        ...

    def load_official(self, state: Mapping[str, Tensor]) -> None:
        """Load a published checkpoint's state dict. DataError when it is another model's or another size."""
        ...

    def losses(self, clips: Clips) -> dict[str, Tensor]:
        """Training losses, means over clips; "loss" is the one to minimise. "codes" is no loss: (K,) int64, how often
        each code was chosen in this batch."""
        ...

    def validation_losses(self, clips: Clips) -> dict[str, Tensor]:
        """As `losses`; meant for eval mode."""
        ...

    def encode(self, vertices: Tensor, template: Tensor) -> Tensor:
        """One clip, (T, D) absolute positions and (D,) → (T, Q) int64."""
        ...

    def decode(self, codes: Tensor, template: Tensor) -> Tensor:
        """(T, Q) int64 and (D,) → (T, D) absolute positions."""
        ...
