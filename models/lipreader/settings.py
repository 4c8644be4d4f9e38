"""What a recipe may set of the lip reader: its sizes, its pieces of text, and what it is shown while it learns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from models.lipreader.sizes import Sizes
from models.settings import Wants, setting


@dataclass(frozen=True)
class Settings(Sizes):
    """Sizes, pieces of text, camera and disturbances."""

    moves: ClassVar[bool] = False
    hears: ClassVar[bool] = False
    """No speech features: it has the sound itself."""

    tokeniser: str | None = setting(
        None,
        "SentencePiece model that cuts transcripts into pieces (unigram5000.model of Auto-AVSR); without one, texts "
        "are written letter by letter",
        path=True,
    )
    units: str | None = setting(
        None, "with tokeniser: the list of its pieces and their classes (unigram5000_units.txt)", path=True
    )
    published_pieces: bool = setting(True, "with tokeniser: refuse files that are not those of the published weights")
    camera: str = setting(
        "fitted",
        "how the mouth is looked at: 'vocaset', 'biwi' as published, 'fitted' to the lips of any face, as large",
        choices=("fitted", "vocaset", "biwi"),
    )
    pixel_std: float = setting(
        0.165, "what grey is divided by, behind its mean 0.421; 0.165 as the published weights were trained", low=1e-3
    )
    rim: int = setting(
        4, "pixels around the mouth, out of which a picture is cut at random in training; 4: 88 of 96, as published",
        low=0, high=25,
    )  # fmt: skip
    silence: float = setting(
        0.0, "share of training clips that are shown without their sound, so that lips count", low=0.0, high=1.0
    )
    time_mask: bool = setting(True, "hide spans of the sound in training, about one of up to 0.4 s a second")

    def wants(self) -> Wants:
        """It learns to write what is said in its own pieces of text."""
        return Wants(text="pieces", sound=self.listens, mouth=True)

    def files(self) -> dict[str, str]:
        """What it is to → the user's file."""
        given = {"tokeniser": self.tokeniser, "units": self.units}
        return {name: path for name, path in given.items() if path}

    def problems(self) -> Iterator[str]:
        """Sentences on settings that do not go together, each beginning with the name of one."""
        yield from super().problems()
        if bool(self.tokeniser) != bool(self.units):
            yield "tokeniser and units belong together: the model that cuts texts, and the list of its pieces"
