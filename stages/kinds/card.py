"""The data card beside an artifact of the kind `sequences`: whose data these are, and what was found in them.

`card.json` holds what cannot be told from the sequences themselves; no stage reads it, so that a word about a licence
runs nothing again. It names no folder of the machine that made it: equal data have equal cards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from faces.errors import DataError, said
from faces.texts import read_json
from stages.kinds.plain import built, write_json

CARD = "card.json"


@dataclass(frozen=True)
class Source:
    """Where a data set comes from. terms: what its owners allow, in a sentence."""

    title: str
    citation: str
    url: str
    licence: str
    terms: str


@dataclass(frozen=True)
class Check:
    """Something that is known of a data set and was looked at. passed: None where it could not be."""

    what: str
    expected: str
    found: str
    passed: bool | None

    def __str__(self) -> str:
        word = {True: "as expected", False: f"expected {self.expected}", None: "not checked"}[self.passed]
        return f"{self.what}: {self.found} ({word})"


@dataclass(frozen=True)
class Card:
    """What `card.json` says. remarks: what the user was told while the data were read."""

    source: Source
    checks: Sequence[Check] = ()
    remarks: Sequence[str] = ()


def write_card(folder: Path, card: Card, root: Path) -> Path:
    """Write `card.json`. root: the folder of the raw data, which is left out of the remarks' paths."""
    remarks = [remark.replace(f"{root}/", "").replace(str(root), "the root") for remark in card.remarks]
    facts = asdict(card) | {"checks": [asdict(check) for check in card.checks], "remarks": remarks}
    return write_json(folder / CARD, facts)


def read_card(folder: Path) -> Card | None:
    """The card in an artifact; None where a data set's module has written none. DataError for one that is damaged."""
    file = folder / CARD
    if not file.is_file():
        return None
    try:
        return built(Card, read_json(file))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{file} is no data card ({said(error)}); make it again with preprocess") from None
