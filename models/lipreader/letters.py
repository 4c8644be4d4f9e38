"""Letters as a lip reader's pieces: for small ones that are trained from transcripts, without any file.

Conventions are those of `models.text`: the blank `<pad>` comes first, the space is `|`; the end comes last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from faces.errors import DataError
from models.lipreader.tokeniser import END, cleaned
from models.text import BLANK, SPACE, UNKNOWN, Vocabulary

ENGLISH = (BLANK, UNKNOWN, SPACE, "'", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", END)


class Letters:
    """classes: in the order of the network's outputs. DataError where blank or end are not in their places."""

    def __init__(self, classes: Sequence[str] = ENGLISH) -> None:
        self.classes = tuple(classes)
        if len(self.classes) < 3 or self.classes[0] != BLANK or self.classes[-1] != END:
            raise DataError(f"a lip reader's letters begin with {BLANK} and end with {END}, with one letter at least")
        if len({name.casefold() for name in self.classes}) < len(self.classes):
            raise DataError("a lip reader's letters must differ in more than their case")
        self._vocabulary = Vocabulary(self.classes)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Letters:
        """What `content` described."""
        return cls([str(name) for name in content["classes"]])

    def content(self) -> dict[str, Any]:
        return {"kind": "letters", "classes": list(self.classes)}

    def classes_of(self, text: str, as_released: bool = False) -> list[int]:
        """Letter by letter in any case; see `Tokeniser.classes_of` and `cleaned`. `<unk>`, where there is one, for
        letters that are missing."""
        return self._vocabulary.classes_of(cleaned(text, as_released))

    def text_of(self, classes: Iterable[int]) -> str:
        last = len(self.classes) - 1
        return self._vocabulary.text_of(
            number for number in classes if 0 < number < last and self.classes[number] != UNKNOWN
        )
