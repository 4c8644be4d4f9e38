"""What counts as a letter and as a word of texts that are held against each other, and errors of a whole set of them:
edits ÷ length of what is true, both summed.

Case never counts. A set's rate is no mean of its texts' rates: a long text weighs more.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from faces.edits import edit_distance

Pair = tuple[Sequence[Hashable], Sequence[Hashable]]
"""Tokens of what is true, and of what was read."""


def letters(text: str) -> list[str]:
    """The tokens of a character error rate, spaces among them: recognisers differ in the case they write."""
    return [letter.casefold() for letter in text]


def words(text: str) -> list[str]:
    """The tokens of a word error rate."""
    return text.casefold().split()


def error_rate_of_all(pairs: Iterable[Pair]) -> float:
    """Tokens to insert, delete or replace ÷ true tokens; above 1 where much is made up, NaN with nothing true."""
    edits = length = 0
    for true, made in pairs:
        edits += edit_distance(true, made)
        length += len(true)
    return edits / length if length else float("nan")
