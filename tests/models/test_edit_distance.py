"""Edits between texts, against a definition by recursion."""

from __future__ import annotations

import random
from functools import cache

import pytest

from models.edit_distance import edit_distance, letter_errors


@cache
def literal(one: str, other: str) -> int:
    if not one or not other:
        return len(one) + len(other)
    exchanged = literal(one[1:], other[1:]) + (one[0] != other[0])
    return min(exchanged, literal(one[1:], other) + 1, literal(one, other[1:]) + 1)


def test_it_is_the_fewest_edits():
    draw = random.Random(3)
    for _ in range(200):
        one, other = ("".join(draw.choices("ab ", k=draw.randrange(7))) for _ in range(2))
        assert edit_distance(one, other) == literal(one, other) == edit_distance(other, one)
    assert edit_distance([1, 2, 3], [2, 3, 4]) == 2


@pytest.mark.parametrize(("read", "true", "share"), [("kitten", "sitting", 3 / 7), ("", "abcd", 1), ("abc", "", 3)])
def test_errors_are_counted_for_each_letter_of_the_truth(read, true, share):
    assert letter_errors(read, true) == pytest.approx(share)
