"""Word, letter and viseme error rates of whole sets; pronunciations, and tables of visemes."""

from __future__ import annotations

import itertools
import math
import string
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from faces.errors import DataError
from faces.pronouncing import PHONEMES, guessed, phonemes_of, read_dictionary, words_of
from faces.text_errors import error_rate_of_all, letters, words
from faces.visemes import TABLE, Visemes, read_table

PAIRS = [("THE CAT SAT", "the bat sat down"), ("no", "")]


def rate(tokens: Callable[[str], list[str]], pairs: Iterable[tuple[str, str]]) -> float:
    return error_rate_of_all((tokens(true), tokens(made)) for true, made in pairs)


def test_rates_are_of_the_whole_set() -> None:
    assert rate(words, PAIRS) == (2 + 1) / (3 + 1)
    assert rate(letters, PAIRS) == (1 + 5 + 2) / (11 + 2)
    assert rate(words, [("a b", "a b"), ("a", "b c")]) == 2 / 3


def test_nothing_true_has_no_rate() -> None:
    for tokens in (words, letters, Visemes.read().of):
        assert math.isnan(rate(tokens, []))
        assert math.isnan(rate(tokens, [("", "what")]))


def test_what_looks_right_is_right() -> None:
    """P, B and M are one viseme, so are F and V; a vowel is another."""
    visemes = Visemes.read()
    assert rate(visemes.of, [("pat", "mad")]) == 0
    assert rate(letters, [("pat", "mad")]) == 2 / 3
    assert rate(visemes.of, [("pat", "fat")]) == 1 / 3
    assert rate(visemes.of, [("Pat, a bat.", "bad")]) == 4 / 7


def test_our_table_has_every_phoneme_once() -> None:
    table = read_table(TABLE)
    assert set(table) == PHONEMES
    assert len(PHONEMES) == 39
    assert len(set(table.values())) == 13


@pytest.mark.parametrize(
    ("word", "phonemes"),
    [
        ("the", "DH IY"), ("she", "SH IY"), ("they", "DH EY"), ("people", "P EH AA P AH L"),
        ("quick", "K W IH K"), ("fox", "F AA K S"), ("lazy", "L AE Z IY"), ("knight", "N AY T"),
        ("phone", "F OW N"), ("thought", "TH AO T"), ("church", "CH ER CH"), ("happy", "HH AE P IY"), ("my", "M AY"),
        ("wanted", "W AE N T IH D"), ("walked", "W AE L K D"), ("nation", "N AE SH AH N"), ("where", "W IH R"),
        ("pure", "P Y UH R"), ("thinking", "TH IH NG K IH NG"), ("make", "M EY K"), ("bigger", "B IH G ER"),
        ("why", "W AY"), ("we'll", "W EH L"), ("a", "AH"), ("who", "HH UW"), ("dogs", "D AA G S"),
    ],
)  # fmt: skip
def test_words_are_guessed_from_letters(word: str, phonemes: str) -> None:
    assert " ".join(guessed(word)) == phonemes


def test_every_word_has_a_guess() -> None:
    for word in map("".join, itertools.product(string.ascii_lowercase, repeat=3)):
        assert PHONEMES.issuperset(guessed(word)), word


def test_words_are_parted_by_what_is_no_letter() -> None:
    assert words_of("Don’t 'quote' it -- OK?2x") == ["don't", "quote", "it", "ok", "x"]


def dictionary(folder: Path, content: str) -> Path:
    file = folder / "cmudict.txt"
    file.write_bytes(content.encode("latin-1"))
    return file


CMUDICT = """;;; a comment
# another

SAID  S EH1 D
said(1) S EY1 D
DON'T  D OW1 N T
read R EH1 D # the past
"""


def test_a_dictionary_goes_before_a_guess(tmp_path: Path) -> None:
    found = read_dictionary(dictionary(tmp_path, CMUDICT))
    assert found == {"said": ("S", "EH", "D"), "don't": ("D", "OW", "N", "T"), "read": ("R", "EH", "D")}
    assert phonemes_of("I said: DON'T, dog", found) == ["AY", "S", "EH", "D", "D", "OW", "N", "T", "D", "AA", "G"]
    visemes = Visemes.read(dictionary=tmp_path / "cmudict.txt")
    assert visemes.of("said") == ["tongue", "bed", "tongue"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("SAID S EH9 D\n", r"cmudict\.txt, line 1: 'SAID S EH9 D' is no word with its phonemes"),
        ("A AH0\nSAID\n", r"line 2: 'SAID' is no word"),
        (";;; nothing\n", "holds no word"),
    ],
)
def test_dictionaries_that_are_none(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_dictionary(dictionary(tmp_path, content))
    with pytest.raises(DataError, match="cannot be read as a pronouncing dictionary"):
        read_dictionary(tmp_path / "absent.txt")


def test_another_table(tmp_path: Path) -> None:
    file = tmp_path / "two.toml"
    vowels = sorted(one for one in PHONEMES if one[0] in "AEIOU")
    file.write_text(f"[visemes]\nopen = {vowels}\nclosed = {sorted(PHONEMES - set(vowels))}\n")
    assert Visemes.read(file).of("dog") == ["closed", "open", "closed"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace('"ER"', '"P", "ER"'), "phonemes in two rows P"),
        (lambda text: text.replace('"ER"', '"XX"'), "unknown phonemes XX; missing phonemes ER"),
        (lambda text: text.replace("[visemes]", "[other]"), "needs a table `visemes`"),
        (lambda text: text.replace('["ER"]', '"ER"'), "with a list of phonemes for each"),
        (lambda text: "x = ", r"table\.toml cannot be read as a table of visemes"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, change, said: str) -> None:
    file = tmp_path / "table.toml"
    file.write_text(change(TABLE.read_text()))
    with pytest.raises(DataError, match=said):
        read_table(file)
