"""Text as the classes of a lip reader, and back: what both kinds of tokeniser have in common.

Class 0 is the blank of CTC, and the last one begins and ends a text; between lie pieces of text. A tokeniser's whole
content is a table for JSON, so that it can be stored beside a network's weights. Light: no torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from faces.errors import DataError

BLANK, END = "<blank>", "<eos>"
_APOSTROPHES = str.maketrans("’‘ʼ´`", "'''''")


class Tokeniser(Protocol):
    """classes: what each class stands for, in the order of the network's outputs."""

    classes: tuple[str, ...]

    def classes_of(self, text: str, as_released: bool = False) -> list[int]:
        """A text's classes, without what begins and ends it; the text is `cleaned` first."""
        ...

    def text_of(self, classes: Iterable[int]) -> str:
        """A text from classes without repeats or blanks between them; −1 and what begins and ends a text are left
        out."""
        ...

    def content(self) -> dict[str, Any]:
        """All there is to it, for JSON: `tokeniser_of` makes the same tokeniser of it."""
        ...


def cleaned(text: str, as_released: bool = False) -> str:
    """A transcript as the published lip reader was taught to write: capitals, apostrophes and single spaces.

    Everything else becomes a space. as_released: what the released code of audio-visual guidance (Interspeech 2024)
    makes of it: no capitals, so that nearly every word is unknown to the published pieces, and no apostrophes.
    """
    if as_released:
        return re.sub("[^a-zA-Z]", " ", text).strip()
    kept = re.sub("[^A-Z']", " ", text.translate(_APOSTROPHES).upper())
    return " ".join(kept.split())


def tokeniser_of(content: Mapping[str, Any]) -> Tokeniser:
    """The tokeniser that `content()` described. DataError where it is none."""
    from models.lipreader.letters import Letters
    from models.lipreader.pieces import Pieces

    kinds: dict[str, Callable[[Mapping[str, Any]], Tokeniser]] = {"letters": Letters.of, "pieces": Pieces.of}
    kind = str(content.get("kind"))
    if kind not in kinds:
        raise DataError(f"a lip reader's tokeniser is {' or '.join(kinds)}, not {kind[:40]!r}")
    try:
        return kinds[kind](content)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"a lip reader's tokeniser ({kind}) is damaged: its content is incomplete") from error
