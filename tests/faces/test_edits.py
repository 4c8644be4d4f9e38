from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest

from faces.edits import aligned, edit_distance, error_rate


def plainly(a: Sequence[str], b: Sequence[str]) -> int:
    """The definition itself."""
    if not a or not b:
        return len(a) + len(b)
    return min(plainly(a[1:], b) + 1, plainly(a, b[1:]) + 1, plainly(a[1:], b[1:]) + (a[0] != b[0]))


@pytest.mark.parametrize(
    ("true", "made", "edits"),
    [
        ("", "", 0),
        ("abc", "", 3),
        ("", "abc", 3),
        ("kitten", "sitting", 3),
        ("the cat sat", "the at sad", 2),
        ("abc", "cab", 2),
        ("aaa", "aaaa", 1),
    ],
)
def test_known_distances(true: str, made: str, edits: int) -> None:
    assert edit_distance(true, made) == edit_distance(made, true) == edits


def test_it_is_the_definition() -> None:
    words = ["".join(word) for length in range(4) for word in itertools.product("ab", repeat=length)]
    for true, made in itertools.product(words, words):
        pairs = aligned(true, made)
        assert edit_distance(true, made) == plainly(true, made) == sum(a != b for a, b in pairs)
        assert "".join(a for a, _ in pairs if a is not None) == true
        assert "".join(b for _, b in pairs if b is not None) == made


def test_tokens_are_anything() -> None:
    assert edit_distance(["we", "saw", "a", "cat"], ["we", "was", "a", "cat"]) == 1
    assert error_rate([("p", "b"), ("f",)], [("p", "b")]) == 0.5


def test_rates() -> None:
    assert error_rate("ab", "abcdef") == 2.0
    assert math.isnan(error_rate("", "abc"))


def test_alignment_by_hand() -> None:
    assert aligned("cat", "at") == [("c", None), ("a", "a"), ("t", "t")]
    assert aligned("at", "cat") == [(None, "c"), ("a", "a"), ("t", "t")]
    assert aligned("sad", "sat") == [("s", "s"), ("a", "a"), ("d", "t")]


def test_long_texts_are_quick() -> None:
    assert edit_distance("abcde" * 800, "abxde" * 800) == 800
