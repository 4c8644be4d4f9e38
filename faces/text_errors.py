"""How wrong texts are that a lip reader wrote: errors of a whole set, edits ÷ length of what is true, both summed.

Case never counts. A set's rate is no mean of its texts' rates: a long text weighs more.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from faces.edits import edit_distance
from faces.visemes import Visemes

Pair = tuple[str, str]
"""What is true, and what was read."""


def word_error_rate(pairs: Iterable[Pair]) -> float:
    """WER: words to insert, delete or replace ÷ true words; above 1 where much is made up, NaN with nothing true."""
    return _rate((true.lower().split(), made.lower().split()) for true, made in pairs)


def letter_error_rate(pairs: Iterable[Pair]) -> float:
    """CER: the same with characters, spaces included."""
    return _rate((true.lower(), made.lower()) for true, made in pairs)


def viseme_error_rate(pairs: Iterable[Pair], visemes: Visemes) -> float:
    """VER: the same with visemes: what sounds wrong and looks right counts as right.

    Audio-visual guidance (Interspeech 2024) reports such a rate. Which recogniser, dictionary and table it was taken
    with is not known, and rates of different tables differ: **ours must not be compared with the paper's numbers**, nor
    with those of another table or dictionary.
    """
    return _rate((visemes.of(true), visemes.of(made)) for true, made in pairs)


def _rate(pairs: Iterable[tuple[Sequence[Hashable], Sequence[Hashable]]]) -> float:
    edits = length = 0
    for true, made in pairs:
        edits += edit_distance(true, made)
        length += len(true)
    return edits / length if length else float("nan")
