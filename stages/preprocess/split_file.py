"""Splits as data: a TOML file says which subjects and which sentences train, validate and test.

`read_splits` reads such a file (the official ones lie in the folder `splits/`), `write_splits` writes one. "train" and
"val" are always among them; the others, whatever they are called, test. Sentences are numbers, taken from the digits
that end a sentence's name, or that stand before the split's `suffix`. The subject "*" stands for all that the data
have. A file that cannot be understood, or that puts one sequence into two splits, is a `DataError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import combinations
from pathlib import Path
from typing import Any

from faces.errors import DataError, said
from faces.texts import read_toml
from stages.kinds.sequences import check_name

NEEDED = ("train", "val")
"""What training asks for by name. All other splits are for testing."""
LARGEST_NUMBER = 999_999
"""Of a sentence: ranges are kept as the numbers in them."""
EVERYBODY = "*"


@dataclass(frozen=True)
class Split:
    """subjects: in the order of the one-hot style. sentences: their numbers. prefix: what may stand before the number
    in the names of this split's sentences, "e" for BIWI's emotional ones; None: anything. suffix: what follows the
    number, with "*" for anything and "?" for one character; 3D-MEAD's emotion and level are "_?_?".
    """

    subjects: tuple[str, ...]
    sentences: frozenset[int]
    prefix: str | tuple[str, ...] | None = None
    suffix: str = ""

    def holds(self, subject: str, sentence: str) -> bool:
        if subject not in self.subjects:
            return False
        prefix, number = split_name(sentence, self.suffix)
        return number in self.sentences and (self.prefixes is None or prefix in self.prefixes)

    @property
    def prefixes(self) -> frozenset[str] | None:
        """All that may stand before the number; None: anything."""
        given = self.prefix
        return None if given is None else frozenset((given,) if isinstance(given, str) else given)


@dataclass(frozen=True)
class Splits:
    """The splits, in the order of their file."""

    parts: Mapping[str, Split]

    def of(self, subject: str, sentence: str) -> str:
        """The name of a sequence's split, or "" where it is in none. DataError where it is in two."""
        found = [name for name, part in self.parts.items() if part.holds(subject, sentence)]
        if len(found) > 1:
            raise DataError(
                f"the splits {' and '.join(found)} both hold {subject}_{sentence}; a sequence may be in one split: "
                "mend the split file"
            )
        return found[0] if found else ""

    def among(self, subjects: Iterable[str]) -> Splits:
        """The same with "*" replaced by all of these subjects, sorted."""
        everybody = tuple(sorted(subjects))
        named = {
            name: replace(part, subjects=everybody) if part.subjects == (EVERYBODY,) else part
            for name, part in self.parts.items()
        }
        return Splits(named)

    @property
    def subjects(self) -> dict[str, list[str]]:
        """split → its subjects in order."""
        return {name: list(part.subjects) for name, part in self.parts.items()}


def split_name(sentence: str, suffix: str = "") -> tuple[str, int | None]:
    """("sentence", 7) for "sentence07", ("e", 7) for "e07"; the number is None where the name does not end in one.

    suffix: what follows the number, the first in the name that it fits: ("", 7) for "007_3_1" and "_*".
    """
    for digits in re.finditer(r"\d+", sentence):
        if fnmatchcase(sentence[digits.end() :], suffix):
            return sentence[: digits.start()], int(digits[0])
    return sentence, None


def read_splits(file: Path) -> Splits:
    """Read a split file.

    Raises:
        DataError: it is absent, not TOML, lacks a split, or puts a sequence into two splits.
    """
    try:
        tables = read_toml(Path(file))
    except OSError as error:
        raise DataError(f"the split file {file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"the split file {file} is not TOML: {said(error)}") from error
    for name in (needed for needed in NEEDED if needed not in tables):
        raise DataError(f"the split file {file} has no table [{name}]; it must have {' and '.join(NEEDED)}")
    splits = Splits({_check_split_name(file, name): _parse_split(file, name, tables[name]) for name in tables})
    _refuse_overlap(file, splits)
    return splits


def write_splits(file: Path, splits: Splits) -> Path:
    """Write a split file that `read_splits` reads back."""
    blocks = []
    for name, part in splits.parts.items():
        subjects = ", ".join(f'"{subject}"' for subject in part.subjects)
        around = "" if part.prefix is None else f"prefix = {_toml(part.prefix)}\n"
        around += f'suffix = "{part.suffix}"\n' if part.suffix else ""
        blocks.append(f'[{name}]\nsubjects = [{subjects}]\nsentences = "{format_numbers(part.sentences)}"\n{around}')
    file.write_text("\n".join(blocks), encoding="utf-8")
    return file


def parse_numbers(text: str) -> frozenset[int]:
    """{1, 2, 3, 7} for "1-3, 7". ValueError for anything else."""
    numbers = set[int]()
    for piece in text.split(","):
        found = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", piece)
        if not found:
            raise ValueError(f"{piece.strip()!r} is neither a number nor a range such as 21-40")
        first, last = int(found[1]), int(found[2] or found[1])
        if last > LARGEST_NUMBER:
            raise ValueError(f"{last:,} is more than any sentence's number, {LARGEST_NUMBER:,}")
        numbers.update(range(first, last + 1))
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


def _toml(prefix: str | tuple[str, ...]) -> str:
    return f'"{prefix}"' if isinstance(prefix, str) else f"[{', '.join(map(_toml, prefix))}]"


def _check_split_name(file: Path, name: str) -> str:
    """Splits are named in recipes and become parts of files' names."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise DataError(
            f"the split file {file} has a table {name!r}, and a split's name is made of small letters, digits and "
            "single hyphens, like test-a; rename it"
        )
    return name


def _parse_split(file: Path, name: str, table: Any) -> Split:
    try:
        subjects, sentences, prefix = table["subjects"], parse_numbers(table["sentences"]), table.get("prefix")
        suffix = table.get("suffix", "")
        if isinstance(prefix, list) and all(isinstance(text, str) for text in prefix):
            prefix = tuple(prefix)
        if prefix is not None and not isinstance(prefix, str | tuple):
            raise ValueError("prefix must be a text or a list of texts")
        if not isinstance(suffix, str):
            raise ValueError("suffix must be a text")
        if not isinstance(subjects, list) or not all(isinstance(subject, str) for subject in subjects):
            raise ValueError("subjects must be a list of names")
        # a stray blank around a name changes the size of the one-hot style in the published code; never here
        names = tuple(subject.strip() for subject in subjects)
        if len(set(names)) < len(names):
            raise ValueError("a subject is named twice")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(
            f"the split file {file}, table [{name}], needs subjects (a list of names) and sentences "
            f'(a text such as "1-20, 25"): {said(error)}'
        ) from error
    where = f"the split file {file}, table [{name}],"
    checked = names if names == (EVERYBODY,) else tuple(check_name(subject, where) for subject in names)
    return Split(checked, sentences, prefix, suffix)


def _refuse_overlap(file: Path, splits: Splits) -> None:
    for (one, a), (other, b) in combinations(splits.parts.items(), 2):
        subjects, numbers = set(a.subjects) & set(b.subjects), a.sentences & b.sentences
        one_way, other_way = a.prefixes, b.prefixes
        alike = a.suffix == b.suffix and (one_way is None or other_way is None or bool(one_way & other_way))
        if subjects and numbers and alike:
            raise DataError(
                f"the split file {file} puts sentence {min(numbers)} of {min(subjects)} into both {one} and {other}; "
                "a sequence may be in one split only"
            )
