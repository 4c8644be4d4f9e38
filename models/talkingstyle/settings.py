"""What a recipe may set of TalkingStyle. Defaults are the published values for VOCASET, BIWI's stand in the helps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from models.settings import AutoregressiveSettings, Wants, setting


@dataclass(frozen=True)
class Settings(AutoregressiveSettings):
    """Sizes of the decoder, how speech meets motion, how the speech encoder is trained, and how motion is learnt."""

    feature_dim: int = setting(64, "channels d of the decoder; 64 VOCASET, 128 BIWI (official code)", low=2)
    layers: int = setting(6, "decoder layers; 6 as published", low=1)
    mouth_weight: float = setting(
        0.6, "w of the loss (1 − w)·all + w·mouth, both mean squared errors; 0.6 as published", low=0.0, high=1.0
    )
    mouth: str = setting("lips", "the region that is the mouth; wanted of the data where mouth_weight is above 0")
    mouth_entries: str = setting(
        "coordinates",
        "what the region's numbers are taken for: 'coordinates' as released, numbers of the flat x, y, z list, which "
        "are those of other vertices; 'vertices', all three coordinates of the region's own vertices",
        choices=("coordinates", "vertices"),
    )

    def wants(self) -> Wants:
        """The mouth, where it counts."""
        return Wants(regions=(self.mouth,)) if self.mouth_weight else Wants()

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        if self.mouth_weight and not self.mouth:
            yield "mouth = '' names no region; name one, or set mouth_weight = 0"
