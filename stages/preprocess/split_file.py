"""Splits as data: a TOML file says which subjects and which sentences train, validate and test.

`read_splits` reads such a file (the official ones lie in the folder `splits/`), `write_splits` writes one. Sentences
are numbers, taken from the digits that end a sentence's name. A file that cannot be understood, or that puts one
sequence into two splits, is a `DataError`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faces.errors import DataError
from stages.kinds.sequences import SPLITS, check_name


@dataclass(frozen=True)
class Split:
    """subjects: in the order of the one-hot style. sentences: their numbers."""

    subjects: tuple[str, ...]
    sentences: frozenset[int]


@dataclass(frozen=True)
class Splits:
    """The three splits."""

    parts: Mapping[str, Split]

    def of(self, subject: str, sentence: str) -> str:
        """The split of a sequence: "train", "val", "test", or "" where it is in none."""
        number = sentence_number(sentence)
        for name, part in self.parts.items():
            if subject in part.subjects and number in part.sentences:
                return name
        return ""

    @property
    def subjects(self) -> dict[str, list[str]]:
        """split → its subjects in order."""
        return {name: list(part.subjects) for name, part in self.parts.items()}


def sentence_number(sentence: str) -> int | None:
    """7 for "sentence07" and for "e07"; None where the name does not end in digits."""
    digits = re.search(r"\d+$", sentence)
    return int(digits[0]) if digits else None


def read_splits(file: Path) -> Splits:
    """Read a split file.

    Raises:
        DataError: it is absent, not TOML, lacks a split, or puts a sequence into two splits.
    """
    try:
        tables = tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"the split file {file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"the split file {file} is not TOML: {error}") from error
    unknown = sorted(set(tables) ^ set(SPLITS))
    if unknown:
        raise DataError(f"the split file {file} must have the tables {', '.join(SPLITS)}; check {', '.join(unknown)}")
    splits = Splits({name: _parse_split(file, name, tables[name]) for name in SPLITS})
    _refuse_overlap(file, splits)
    return splits


def write_splits(file: Path, splits: Splits) -> Path:
    """Write a split file that `read_splits` reads back."""
    blocks = []
    for name, part in splits.parts.items():
        subjects = ", ".join(f'"{subject}"' for subject in part.subjects)
        blocks.append(f'[{name}]\nsubjects = [{subjects}]\nsentences = "{format_numbers(part.sentences)}"\n')
    file.write_text("\n".join(blocks), encoding="utf-8")
    return file


def parse_numbers(text: str) -> frozenset[int]:
    """{1, 2, 3, 7} for "1-3, 7". ValueError for anything else."""
    numbers = set[int]()
    for piece in text.split(","):
        found = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", piece)
        if not found:
            raise ValueError(f"{piece.strip()!r} is neither a number nor a range such as 21-40")
        first = int(found[1])
        numbers.update(range(first, int(found[2] or first) + 1))
    return frozenset(numbers)


def format_numbers(numbers: Iterable[int]) -> str:
    """The inverse of `parse_numbers`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{first}-{last}" if last > first else f"{first}" for first, last in runs)


def _parse_split(file: Path, name: str, table: Any) -> Split:
    try:
        subjects, sentences = table["subjects"], parse_numbers(table["sentences"])
        if not isinstance(subjects, list) or not all(isinstance(subject, str) for subject in subjects):
            raise ValueError("subjects must be a list of names")
        # a stray blank around a name changes the size of the one-hot style in the published code; never here
        names = tuple(subject.strip() for subject in subjects)
        if len(set(names)) < len(names):
            raise ValueError("a subject is named twice")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(
            f"the split file {file}, table [{name}], needs subjects (a list of names) and sentences "
            f'(a text such as "1-20, 25"): {error}'
        ) from error
    return Split(tuple(check_name(subject, f"the split file {file}, table [{name}],") for subject in names), sentences)


def _refuse_overlap(file: Path, splits: Splits) -> None:
    seen: dict[tuple[str, int], str] = {}
    for name, part in splits.parts.items():
        for subject in part.subjects:
            for number in part.sentences:
                other = seen.setdefault((subject, number), name)
                if other != name:
                    raise DataError(
                        f"the split file {file} puts sentence {number} of {subject} into both {other} and {name}; "
                        "a sequence may be in one split only"
                    )
