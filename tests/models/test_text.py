"""What a recogniser's logits say, and which classes a text has."""

from __future__ import annotations

import numpy as np
import pytest

from faces.errors import DataError
from models.text import ENGLISH, Vocabulary

english = Vocabulary(ENGLISH)


def logits(classes: list[int]) -> np.ndarray:
    return np.eye(len(english))[classes]


def test_repeats_are_one_letter_and_blanks_part_them() -> None:
    h, e, el, o = (english.classes.index(letter) for letter in "helo")
    assert english.read(logits([h, h, e, 0, 0, el, el, 0, el, o, o])) == "hello"


def test_blanks_alone_say_nothing() -> None:
    assert english.read(logits([0, 0, 0])) == ""
    assert english.read(np.zeros((0, len(english)))) == ""
    assert english.classes_of("") == []


@pytest.mark.parametrize(
    ("classes", "text"),
    [
        ("|it|'s|", "it's"),
        ("do|n't", "don't"),
        ("a|'|b", "a'b"),
        ("we|'re|and|'ve", "we're and've"),
        ("a-b", "a-b"),
    ],
)
def test_texts_are_tidied_as_tokenisers_do(classes: str, text: str) -> None:
    assert english.text_of(english.classes_of(classes.replace("|", " "))) == text


def test_specials_survive_as_themselves_in_any_case_of_letters() -> None:
    assert english.classes_of("<s>A b<unk>") == [1, 7, 4, 8, 3]


def test_what_the_vocabulary_lacks_is_unknown() -> None:
    assert english.classes_of("é") == [3]
    assert Vocabulary(["<pad>", "a"]).classes_of("ab a") == [1, 1]


def test_a_vocabulary_needs_a_blank() -> None:
    with pytest.raises(DataError, match="needs <pad>, the blank"):
        Vocabulary(["a", "b"])
