"""How far one text is from another (Levenshtein, 1966), and the share of letters that a reading got wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def edit_distance(one: Sequence[Any], other: Sequence[Any]) -> int:
    """The fewest insertions, deletions and exchanges of single entries that make one the other."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def letter_errors(read: str, true: str) -> float:
    """The character error rate: edits for each letter of the truth; may exceed 1. An empty truth counts as a letter."""
    return edit_distance(read, true) / max(len(true), 1)
