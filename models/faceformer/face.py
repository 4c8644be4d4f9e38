"""FaceFormer (Fan et al., "FaceFormer: Speech-Driven 3D Facial Animation with Transformers", CVPR 2022).

speech → wav2vec 2.0 → memory; style and past motion → biased causal decoder → offsets from the neutral template.

`models.listening` hears, `models.decoder` is the biased decoder, `models.autoregressive` speaks frame after frame and
says what departs from the released code; here stand FaceFormer's own layers and names.

Shapes: B clips, D = 3 V coordinates, d decoder channels, K training subjects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from torch import Tensor, nn

from models.autoregressive import AutoregressiveFace
from models.faceformer.settings import Settings
from models.moving import make_decoder
from models.newcomer import with_newcomer
from models.talking_face import DataFacts

if TYPE_CHECKING:
    from models.motion_prior import MotionPrior


class FaceFormer(AutoregressiveFace):
    """The network. Parameter names are the released ones; see `models.talking_face` for what every method is for."""

    name: ClassVar[str] = "faceformer"
    settings: Settings

    def __init__(self, settings: Settings, facts: DataFacts) -> None:
        super().__init__(settings, facts)
        d, wide = settings.feature_dim, 3 * facts.vertices
        self.obj_vector = nn.Linear(len(facts.train_subjects), d, bias=False)
        self.vertice_map = nn.Linear(wide, d)
        self.vertice_map_r = nn.Linear(d, wide)
        self.transformer_decoder = make_decoder(settings)
        # An untrained network returns the template.
        nn.init.zeros_(self.vertice_map_r.weight)
        nn.init.zeros_(self.vertice_map_r.bias)

    @classmethod
    def build(cls, settings: Settings, facts: DataFacts, prior: MotionPrior | None = None) -> Self:
        """A freshly initialised network. DataError where settings and data do not go together. It takes no prior."""
        return cls(settings, facts)

    @property
    def inward(self) -> nn.Linear:
        return self.vertice_map

    @property
    def outward(self) -> nn.Linear:
        return self.vertice_map_r

    def style(self, styles: Tensor) -> Tensor:
        """(B, K) one-hot, or mixtures → (B, d)"""
        embedded: Tensor = self.obj_vector(styles.to(self.obj_vector.weight.dtype))
        return embedded

    def add_subject(self, weights: Sequence[float]) -> list[tuple[nn.Parameter, Tensor]]:
        """See `models.talking_face`."""
        table = self.obj_vector
        table.weight, own = with_newcomer(table.weight, weights, subjects=1)
        table.in_features += 1
        self.subjects += 1
        return [(table.weight, own)]
