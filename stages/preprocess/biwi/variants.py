"""Whose preparation of BIWI: what its papers call the sentences, which of them they take, and how heads are normalised.

Light: imported to plan.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Numbering = Callable[[str], str]

SPLITS = Path(__file__).parent.parent / "splits"
SENTENCES = ("emotional", "neutral", "all")
EACH_HALF = 40


@dataclass(frozen=True)
class Variant:
    """numbering: the corpus's name of a sentence → the variant's. patterns: which sentences → what their names look
    like then. sentences, normalise: what `auto` stands for. cut_first: of two sounds that in `…_cut.wav` is taken.
    """

    numbering: Numbering
    patterns: Mapping[str, str]
    sentences: str
    normalise: str
    splits: Path
    cut_first: bool


def _one_to_eighty(sentence: str) -> str:
    """ "41" for "e01"; "01", and what is no emotional sentence, stays."""
    emotional = re.fullmatch(r"e(\d+)", sentence)
    return f"{EACH_HALF + int(emotional[1]):02d}" if emotional else sentence


VARIANTS = {
    "codetalker": Variant(
        numbering=str,
        patterns={"emotional": r"e\d+", "neutral": r"\d+", "all": r".+"},
        sentences="emotional",
        normalise="frame",
        splits=SPLITS / "biwi.toml",
        cut_first=False,
    ),
    "facexhubert": Variant(
        numbering=_one_to_eighty,
        patterns={"emotional": r"4[1-9]|[5-7]\d|80", "neutral": r"0?[1-9]|[1-3]\d|40", "all": r".+"},
        sentences="all",
        normalise="extent",
        splits=SPLITS / "biwi_facexhubert.toml",
        cut_first=True,
    ),
}
