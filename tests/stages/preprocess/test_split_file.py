"""Splits are data: what a split file may say, and what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from faces.errors import DataError
from stages.kinds.sequences import SPLITS
from stages.preprocess.split_file import (
    Split,
    Splits,
    format_numbers,
    parse_numbers,
    read_splits,
    sentence_number,
    write_splits,
)

GOOD = """[train]
subjects = ["a", "b"]
sentences = "1-4"
[val]
subjects = ["c"]
sentences = "3-4"
[test]
subjects = ["d"]
sentences = "3, 4"
"""


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "splits.toml"
    file.write_text(text)
    return file


def test_sequences_fall_into_their_split(tmp_path: Path) -> None:
    splits = read_splits(written(tmp_path, GOOD))
    cases = {("a", "sentence01"): "train", ("c", "sentence03"): "val", ("d", "e04"): "test", ("c", "sentence01"): ""}
    assert {case: splits.of(*case) for case in cases} == cases
    assert splits.of("a", "hello") == ""
    assert splits.of("e", "sentence01") == ""


def test_a_written_file_reads_back(tmp_path: Path) -> None:
    splits = Splits(
        {
            "train": Split(("z", "a"), frozenset({1, 2, 3, 7})),
            "val": Split(("b",), frozenset({5})),
            "test": Split(("c",), frozenset({2, 3})),
        }
    )
    assert read_splits(write_splits(tmp_path / "splits.toml", splits)) == splits


@pytest.mark.parametrize(("text", "numbers"), [("1-3, 7", {1, 2, 3, 7}), ("21-40", set(range(21, 41))), (" 5 ", {5})])
def test_numbers(text: str, numbers: set[int]) -> None:
    assert parse_numbers(text) == numbers
    assert parse_numbers(format_numbers(numbers)) == numbers


def test_sentence_numbers() -> None:
    assert [sentence_number(name) for name in ("sentence07", "e33", "40", "hello", "x2y")] == [7, 33, 40, None, None]


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("[val]", "[dev]", r"must have the tables train, val, test; check dev, val"),
        ('"1-4"', '"1-four"', r"table \[train\].*'1-four'"),
        ('"1-4"', "[1, 4]", r"table \[train\]"),
        ('["a", "b"]', '"a"', r"table \[train\].*list of names"),
        ('["a", "b"]', '["a", "a"]', "named twice"),
        ('["c"]', '["a"]', "sentence 3 of a into both train and val"),
        ("[train]", "[train", "not TOML"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, old: str, new: str, match: str) -> None:
    with pytest.raises(DataError, match=match) as caught:
        read_splits(written(tmp_path, GOOD.replace(old, new)))
    assert str(tmp_path / "splits.toml") in str(caught.value)


def test_an_absent_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.toml cannot be read"):
        read_splits(tmp_path / "absent.toml")


@pytest.mark.parametrize("name", ["../escaped", "a/b", ".hidden", "a b"])
def test_a_subject_that_is_no_file_name(tmp_path: Path, name: str) -> None:
    file = tmp_path / "splits.toml"
    tables = [f"[{split}]\nsubjects = ['{name} ']\nsentences = '{n}'\n" for n, split in enumerate(SPLITS)]
    file.write_text("".join(tables))
    with pytest.raises(DataError, match=r"splits\.toml, table \[train\], holds the name .*it becomes a file's name"):
        read_splits(file)


def test_a_subject_named_twice_but_for_a_blank(tmp_path: Path) -> None:
    file = tmp_path / "splits.toml"
    file.write_text("".join(f"[{split}]\nsubjects = ['a', 'a ']\nsentences = '1'\n" for split in SPLITS))
    with pytest.raises(DataError, match="named twice"):
        read_splits(file)
