"""How far one sequence of tokens is from another: the fewest tokens to insert, delete or replace (Levenshtein 1966).

Tokens are anything that can be hashed: letters for a character error rate, words for a word error rate, visemes. Rows
of the table of distances are computed at once; only `aligned` keeps a byte for each of its cells.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=Hashable)
Row = NDArray[np.int64]

_BOTH, _TRUE_ONLY, _MADE_ONLY = range(3)


def edit_distance(true: Sequence[Hashable], made: Sequence[Hashable]) -> int:
    """The fewest edits that make one of the other."""
    last = np.arange(len(made) + 1)
    for last, _ in _rows(true, made):  # noqa: B007
        pass
    return int(last[-1])


def error_rate(true: Sequence[Hashable], made: Sequence[Hashable]) -> float:
    """Edits ÷ tokens of what is true; above 1 where much is made up, NaN where nothing is true."""
    return edit_distance(true, made) / len(true) if len(true) else float("nan")


def aligned(true: Sequence[T], made: Sequence[T]) -> list[tuple[T | None, T | None]]:
    """Pairs of tokens, None beside one that the other lacks; pairs that differ are as many as edits.

    Of several ways with as few edits, one that pairs tokens late rather than leaving them alone.
    """
    moves = np.full((len(true) + 1, len(made) + 1), _MADE_ONLY, np.uint8)
    for row, (_, move) in enumerate(_rows(true, made), 1):
        moves[row] = move
    i, j = len(true), len(made)
    pairs: list[tuple[T | None, T | None]] = []
    while i or j:
        move = moves[i, j]
        i, j = i - (move != _MADE_ONLY), j - (move != _TRUE_ONLY)
        pairs.append((true[i] if move != _MADE_ONLY else None, made[j] if move != _TRUE_ONLY else None))
    return pairs[::-1]


def _rows(true: Sequence[Hashable], made: Sequence[Hashable]) -> Iterator[tuple[Row, NDArray[np.uint8]]]:
    """For each beginning of `true`, the distances from all beginnings of `made`, and the last move to each."""
    numbers: dict[Hashable, int] = {}
    wanted, given = ([numbers.setdefault(token, len(numbers)) for token in tokens] for tokens in (true, made))
    columns, tokens = np.arange(len(given) + 1), np.array(given, np.int64)
    before = columns
    for token in wanted:
        alone = before + 1
        paired = np.concatenate([alone[:1], before[:-1] + (tokens != token)])
        # An insertion costs one from the cell to the left: with columns taken off, a row is a running minimum.
        row = np.minimum.accumulate(np.minimum(alone, paired) - columns) + columns
        move = np.where(row == paired, _BOTH, np.where(row == alone, _TRUE_ONLY, _MADE_ONLY))
        move[0] = _TRUE_ONLY
        yield row, move.astype(np.uint8)
        before = row
