"""Text as the classes of a CTC recogniser: what its logits say, and a text's classes.

CTC (Graves et al., ICML 2006): every frame has a class, repeats are one letter, and the blank is none. Vocabularies are
those of wav2vec 2.0's tokenisers: the blank `<pad>`, other `<specials>`, the space `|`, then letters. Light: NumPy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError

BLANK, UNKNOWN, SPACE = "<pad>", "<unk>", "|"
ENGLISH = (BLANK, "<s>", "</s>", UNKNOWN, SPACE, "'", "-", *"abcdefghijklmnopqrstuvwxyz")
"""Of the fine-tuned XLSR-53 recogniser that SelfTalk (ACM MM 2023) uses; letters' case changes no class."""
_JOINED = (
    *((f" {mark}", mark) for mark in ".?!,"),
    (" ' ", "'"),
    *((f" {end}", end) for end in ("n't", "'m", "'s", "'ve", "'re")),
)
"""What tokenisers of `transformers` tidy up, in their order."""


class Vocabulary:
    """classes: what each class stands for, in the order of the logits. DataError where there is no blank."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self._index = {name.casefold(): number for number, name in enumerate(self.classes)}
        if BLANK not in self._index:
            raise DataError(
                f"a recogniser's vocabulary needs {BLANK}, the blank; this one has {' '.join(classes)[:80]}"
            )
        self.blank = self._index[BLANK]
        # A class of several letters, mostly special, is one unit, and swallows the spaces around it.
        long = sorted((name for name in self.classes if len(name) > 1), key=len, reverse=True)
        self._units = re.compile("|".join([*(rf"\s*{re.escape(name)}\s*" for name in long), "."]), re.DOTALL)

    def __len__(self) -> int:
        return len(self.classes)

    def read(self, logits: NDArray[Any]) -> str:
        """(L, classes) → the text of every frame's best class: repeats merged, blanks dropped, tidied."""
        best = np.asarray(logits).argmax(axis=1)
        kept = best[np.flatnonzero(np.diff(best, prepend=-1))]
        return self.text_of(kept[kept != self.blank])

    def text_of(self, classes: Iterable[int]) -> str:
        """A text from classes without repeats or blanks between them."""
        text = "".join(self.classes[number] for number in classes).replace(SPACE, " ").strip()
        for apart, joined in _JOINED:
            text = text.replace(apart, joined)
        return text

    def classes_of(self, text: str) -> list[int]:
        """A text's classes, letter by letter in any case; `<unk>`, if there is one, for what the vocabulary lacks.

        As tokenisers of `transformers` have it.
        """
        units = (
            SPACE if unit == " " else unit if len(unit) == 1 else unit.strip() for unit in self._units.findall(text)
        )
        found = (self._index.get(unit.casefold()) for unit in units)
        unknown = self._index.get(UNKNOWN)
        return [number for one in found if (number := unknown if one is None else one) is not None]
