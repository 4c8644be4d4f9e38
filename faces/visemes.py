"""What a text looks like on the lips: its visemes, by a pronouncing dictionary and a table of what looks alike."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from faces.errors import DataError, said
from faces.pronouncing import PHONEMES, Dictionary, phonemes_of, read_dictionary
from faces.texts import read_toml

TABLE = Path(__file__).parent / "visemes.toml"
"""Our table; see its comments."""


@dataclass(frozen=True)
class Visemes:
    """table: phoneme → viseme. dictionary: word → phonemes; empty: all are guessed from letters."""

    table: Mapping[str, str]
    dictionary: Dictionary = field(default_factory=dict)

    @classmethod
    def read(cls, table: Path = TABLE, dictionary: Path | None = None) -> Visemes:
        """From a table, ours or another, and a dictionary in the format of CMUdict. DataError where one is none."""
        return cls(read_table(table), {} if dictionary is None else read_dictionary(dictionary))

    @cached_property
    def digest(self) -> str:
        """What tells table and dictionary from others."""
        content = repr([sorted(self.table.items()), sorted(self.dictionary.items())])
        return hashlib.blake2b(content.encode(), digest_size=4).hexdigest()

    def of(self, text: str) -> list[str]:
        """A text's visemes, word after word, without silences. English alone."""
        return [self.table[phoneme] for phoneme in phonemes_of(text, self.dictionary)]


def read_table(file: Path) -> dict[str, str]:
    """Phoneme → viseme of a TOML file: a table `visemes` with a list of phonemes for each. DataError where a phoneme is
    missing, unknown, or in two rows."""
    try:
        rows: Any = read_toml(file).get("visemes")
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read as a table of visemes: {said(error)}") from error
    if not isinstance(rows, dict) or not all(_is_row(row) for row in rows.values()):
        raise DataError(f"{file} needs a table `visemes` with a list of phonemes for each viseme")
    pairs = [(phoneme, viseme) for viseme, row in rows.items() for phoneme in row]
    found = dict(pairs)
    twice = sorted({phoneme for phoneme, viseme in pairs if found[phoneme] != viseme})
    wrong = {
        "phonemes in two rows": twice,
        "unknown phonemes": sorted(found.keys() - PHONEMES),
        "missing phonemes": sorted(PHONEMES - found.keys()),
    }
    if said_of := [f"{what} {' '.join(which)}" for what, which in wrong.items() if which]:
        raise DataError(f"{file} is no table of visemes: {'; '.join(said_of)}")
    return found


def _is_row(row: Any) -> bool:
    return isinstance(row, list) and all(isinstance(one, str) for one in row)
