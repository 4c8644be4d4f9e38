"""Splits are data: what a split file may say, and what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from faces.errors import DataError
from stages.preprocess.biwi.variants import VARIANTS
from stages.preprocess.split_file import (
    Split,
    Splits,
    format_numbers,
    parse_numbers,
    read_splits,
    split_name,
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


FREE = """[train]
subjects = ["F2"]
sentences = "1-2"
[test-b]
subjects = ["F1"]
sentences = "2"
[val]
subjects = []
sentences = "3"
[test-a]
subjects = ["F2"]
sentences = "4"
prefix = "e"
"""


def test_splits_may_have_any_names_and_keep_their_order(tmp_path: Path) -> None:
    splits = read_splits(written(tmp_path, FREE))
    assert splits.subjects == {"train": ["F2"], "test-b": ["F1"], "val": [], "test-a": ["F2"]}
    assert list(splits.subjects) == ["train", "test-b", "val", "test-a"]
    assert read_splits(write_splits(tmp_path / "again.toml", splits)) == splits


def test_a_prefix_tells_sentences_of_one_number_apart(tmp_path: Path) -> None:
    splits = read_splits(written(tmp_path, FREE))
    assert [splits.of("F2", name) for name in ("e04", "04", "e02", "02")] == ["test-a", "", "train", "train"]
    twice = '[again]\nsubjects = ["F2"]\nsentences = "4"\n'
    assert read_splits(written(tmp_path, FREE + twice + 'prefix = ""\n')).of("F2", "04") == "again"
    for prefix in ("", 'prefix = "e"\n'):
        with pytest.raises(DataError, match="sentence 4 of F2 into both test-a and again"):
            read_splits(written(tmp_path, FREE + twice + prefix))


MEAD = """[train]
subjects = ["*"]
sentences = "1-2"
suffix = "_?_?"
[val]
subjects = ["*"]
sentences = "3"
suffix = "_0_?"
[test]
subjects = ["W9"]
sentences = "3"
suffix = "_*"
"""


def test_a_suffix_says_what_follows_the_number(tmp_path: Path) -> None:
    splits = read_splits(written(tmp_path, MEAD)).among(["W9", "M3"])
    assert splits.subjects == {"train": ["M3", "W9"], "val": ["M3", "W9"], "test": ["W9"]}
    names = ["001_7_2", "002_0_0", "003_0_1", "003_4_1", "001", "1_0_0_0"]
    assert [splits.of("M3", name) for name in names] == ["train", "train", "val", "", "", ""]
    assert splits.of("W9", "003_4_1") == "test"
    with pytest.raises(DataError, match="val and test both hold W9_003_0_1; a sequence may be in one split: mend"):
        splits.of("W9", "003_0_1")
    assert read_splits(write_splits(tmp_path / "again.toml", splits)) == splits


def test_everybody_is_nobody_until_the_data_are_known(tmp_path: Path) -> None:
    splits = read_splits(written(tmp_path, MEAD))
    assert splits.of("M3", "001_7_2") == ""
    assert read_splits(write_splits(tmp_path / "again.toml", splits)) == splits


def test_the_official_splits_of_biwi() -> None:
    splits = read_splits(VARIANTS["codetalker"].splits)
    trained = ["F2", "F3", "F4", "M3", "M4", "M5"]
    unseen = ["F1", "F5", "F6", "F7", "F8", "M1", "M2", "M6"]
    assert splits.subjects == {"train": trained, "val": trained, "test-a": trained, "test-b": unseen}
    every = [(s, f"e{n:02d}") for s in sorted(trained + unseen) for n in range(1, 41)]
    found = [splits.of(*name) for name in every]
    assert [found.count(name) for name in ("train", "val", "test-a", "test-b", "")] == [192, 24, 24, 32, 8 * 36]
    assert splits.of("F2", "01") == splits.of("F2", "37") == ""


@pytest.mark.parametrize(("text", "numbers"), [("1-3, 7", {1, 2, 3, 7}), ("21-40", set(range(21, 41))), (" 5 ", {5})])
def test_numbers(text: str, numbers: set[int]) -> None:
    assert parse_numbers(text) == numbers
    assert parse_numbers(format_numbers(numbers)) == numbers


def test_sentence_numbers() -> None:
    names = {"sentence07": ("sentence", 7), "e33": ("e", 33), "40": ("", 40), "hello": ("hello", None)}
    assert {name: split_name(name) for name in names} == names
    assert split_name("SEN-01-cramp_2_danger", "-*") == ("SEN-", 1)
    assert split_name("001_7_2", "_?_?") == ("", 1)
    assert split_name("001_7_2", "_?") == ("001_", 7)
    assert split_name("x2y") == ("x2y", None)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("[val]", "[dev]", r"has no table \[val\]; it must have train and val"),
        ("[test]", "[Test-A]", r"has a table 'Test-A', and a split's name is made of small letters"),
        ("[test]", "[test_a]", "has a table 'test_a'"),
        ('"1-4"', '"1-4"\nprefix = 3', "prefix must be a text"),
        ('"1-4"', '"1-4"\nsuffix = 0', "suffix must be a text"),
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
    tables = [
        f"[{split}]\nsubjects = ['{name} ']\nsentences = '{n}'\n" for n, split in enumerate(("train", "val", "test"))
    ]
    file.write_text("".join(tables))
    with pytest.raises(DataError, match=r"splits\.toml, table \[train\], holds the name .*it becomes a file's name"):
        read_splits(file)


def test_a_subject_named_twice_but_for_a_blank(tmp_path: Path) -> None:
    file = tmp_path / "splits.toml"
    file.write_text("".join(f"[{split}]\nsubjects = ['a', 'a ']\nsentences = '1'\n" for split in ("train", "val")))
    with pytest.raises(DataError, match="named twice"):
        read_splits(file)


def test_several_things_may_stand_before_the_number(tmp_path: Path) -> None:
    clips = '[train]\nsubjects = ["a"]\nsentences = "1-9"\nprefix = ["one_", "two_"]\n'
    file = written(tmp_path, clips + '[val]\nsubjects = ["a"]\nsentences = "1-9"\nprefix = "three_"\n')
    splits = read_splits(file)
    found = [splits.of("a", sentence) for sentence in ("one_01", "two_9", "three_1", "four_1", "1")]
    assert found == ["train", "train", "val", "", ""]
    assert read_splits(write_splits(tmp_path / "again.toml", splits)) == splits
    with pytest.raises(DataError, match="sentence 1 of a into both train and val"):
        read_splits(written(tmp_path, file.read_text().replace('"three_"', '["three_", "two_"]')))
    with pytest.raises(DataError, match="prefix must be a text or a list of texts"):
        read_splits(written(tmp_path, clips.replace('"two_"', "2") + "[val]\nsubjects = []\nsentences = '1'\n"))


def test_a_range_without_end_is_refused_before_it_is_made(tmp_path: Path) -> None:
    file = tmp_path / "splits.toml"
    file.write_text(
        '[train]\nsubjects = ["A"]\nsentences = "1-99999999999999"\n[val]\nsubjects = []\nsentences = "1"\n'
    )
    with pytest.raises(DataError, match=r"99,999,999,999,999 is more than any sentence's number"):
        read_splits(file)
    file.write_text("x = " + "[" * 100_000)
    with pytest.raises(DataError, match="not TOML: its lists lie too deep"):
        read_splits(file)
