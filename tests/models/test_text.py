"""What a recogniser's logits say, and which classes a text has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from faces.errors import DataError
from models.text import ENGLISH, Vocabulary
from tests.models.recognisers import write_tokeniser

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


@pytest.fixture(scope="module")
def tokeniser(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return write_tokeniser(tmp_path_factory.mktemp("tokeniser"))


def test_reading_is_that_of_transformers(tokeniser: Any) -> None:
    """Random frames in which apostrophes, spaces, their neighbours and specials are frequent."""
    rng = np.random.default_rng(1)
    often = [english.classes.index(name) for name in ("<pad>", "<s>", "</s>", "<unk>", "|", "|", "'", "'", *"nstmvre-")]
    for _ in range(2000):
        frames = rng.choice(often, rng.integers(0, 40))
        if rng.random() < 0.3:
            frames = rng.integers(0, len(english), len(frames))
        scores = rng.normal(size=(len(frames), len(english))) + 9 * np.eye(len(english))[frames]
        best = scores.argmax(axis=1)
        (expected,) = tokeniser.batch_decode([best.tolist()], clean_up_tokenization_spaces=True)
        assert english.read(scores) == expected
        assert english.classes_of(expected) == tokeniser(expected).input_ids


def test_classes_are_those_of_transformers(tokeniser: Any) -> None:
    rng = np.random.default_rng(2)
    parts = [*english.classes, " ", "  ", " ", "'", " '", "é", "1", ".", "\n", "<", ">", "<x>", "<pad>", "<unk> "]
    for _ in range(3000):
        text = "".join(rng.choice(parts, rng.integers(0, 25)))
        assert english.classes_of(text) == tokeniser(text).input_ids, text


def test_spaces_around_specials_are_none() -> None:
    assert english.classes_of("a <s> b  </s><unk> ") == [7, 1, 8, 2, 3]
    assert english.classes_of(" a  b ") == [4, 7, 4, 4, 8, 4]


def test_punctuation_moves_to_its_word() -> None:
    marked = Vocabulary(["<pad>", "|", "a", ".", "?"])
    assert marked.text_of([2, 1, 3, 1, 2, 1, 4]) == "a. a?"
