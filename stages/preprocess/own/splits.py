"""The splits of one's own data: as in a split file, and sentences may also be listed by name, or all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faces.errors import DataError, said
from stages.preprocess.split_file import NEEDED, Split, Splits, parse_numbers

ALL = "all"
Report = Callable[[str], None]


@dataclass(frozen=True)
class Part(Split):
    """names: its sentences, where they are listed by name. every: all sentences are its own."""

    names: frozenset[str] = frozenset()
    every: bool = False

    def holds(self, subject: str, sentence: str) -> bool:
        mine = self.every or sentence in self.names
        return (subject in self.subjects and mine) or super().holds(subject, sentence)


def read_parts(tables: Any, report: Report) -> dict[str, Part]:
    """The tables [splits.train] and so on. Whatever is wrong with one is reported."""
    if not isinstance(tables, dict):
        report("it has no tables [splits.train] and [splits.val]; they say who trains and who validates")
        return {}
    for name in NEEDED:
        if name not in tables:
            report(f"there is no table [splits.{name}]; it may be empty: subjects = []")
    return {name: _part(name, table, report) for name, table in tables.items()}


def _part(name: str, table: Any, report: Report) -> Part:
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        report(f"[splits.{said(name)}]: a split is called with small letters, digits and single hyphens, like test-a")
    try:
        return _parse(table)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        report(
            f'[splits.{said(name)}] needs subjects (a list of names) and sentences ("all", numbers such as "1-20, 25", '
            f"or a list of names): {said(error)}"
        )
        return Part((), frozenset())


def _parse(table: Mapping[str, Any]) -> Part:
    unknown = set(table) - {"subjects", "sentences", "prefix"}
    if unknown:
        raise ValueError(f"it takes no {', '.join(sorted(unknown))}")
    subjects, sentences, prefix = _names(table["subjects"]), table.get("sentences", ALL), table.get("prefix")
    if prefix is not None and not isinstance(prefix, str):
        raise ValueError("prefix must be a text")
    if sentences == ALL:
        return Part(subjects, frozenset(), every=True)
    if isinstance(sentences, list):
        return Part(subjects, frozenset(), names=frozenset(_names(sentences)))
    return Part(subjects, parse_numbers(sentences), prefix)


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError("it must be a list of names")
    if len(set(value)) < len(value):
        raise ValueError("a name is there twice")
    return tuple(value)


def checked(parts: Mapping[str, Part], names: Iterable[tuple[str, str]], where: Path) -> Splits:
    """The splits, if no sequence is in two of them. DataError, which names `where`, otherwise."""
    for subject, sentence in names:
        holding = [split for split, part in parts.items() if part.holds(subject, sentence)]
        if len(holding) > 1:
            raise DataError(
                f"{where} puts {subject}'s {sentence} into {' and '.join(holding)}; a sequence may be in one split only"
            )
    return Splits(parts)
