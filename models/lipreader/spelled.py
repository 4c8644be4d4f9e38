"""How transcripts become a lip reader's pieces of text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from models.lipreader.letters import Letters
from models.lipreader.pieces import Pieces
from models.lipreader.settings import Settings
from models.lipreader.tokeniser import Tokeniser


class Spelled(NamedTuple):
    """A `models.sight.Spelling`. as_released: with the mistakes of the released code of guidance."""

    tokeniser: Tokeniser
    as_released: bool = False

    def pieces(self, text: str) -> list[int]:
        return self.tokeniser.classes_of(text, self.as_released)

    def content(self) -> Mapping[str, Any]:
        return self.tokeniser.content()


def of_settings(settings: Settings) -> Spelled:
    """The tokeniser that a lip reader is given, letters where there is none. DataError where it cannot be read."""
    if not settings.tokeniser or not settings.units:
        return Spelled(Letters())
    model, units = Path(settings.tokeniser).expanduser(), Path(settings.units).expanduser()
    return Spelled(Pieces.read(model, units, settings.published_pieces))
