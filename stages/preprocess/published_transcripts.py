"""What is said, as audio-visual guidance (Interspeech 2024) lays it beside VOCASET and BIWI; its texts are unreleased.

VOCASET: `sentencestext/<subject>.txt`, whose lines that are not empty are sentences 1, 2, … of that subject. BIWI:
`sentences.txt`, whose line n is sentence n, neutral and emotional alike: a number, a full stop, a blank, the text.
`transcripts.json` wins where it has a text, too. Light to plan.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from faces.errors import DataError, said
from faces.texts import read_text
from stages.preprocess.given_transcripts import SOURCE, tidied

VOCASET_FOLDER, BIWI_FILE = "sentencestext", "sentences.txt"
NEUTRAL = 40
"""Sentences of BIWI; a number above is that of an emotional one behind them."""


def vocaset_sources(root: Path | str) -> dict[str, Path]:
    """The files that are there, as sources."""
    files = sorted(Path(root, VOCASET_FOLDER).glob("*.txt"))
    return {f"{SOURCE} by {file.stem}": file for file in files}


def biwi_sources(root: Path | str) -> dict[str, Path]:
    """The file, if it is there."""
    file = Path(root, BIWI_FILE)
    return {f"{SOURCE} by all": file} if file.is_file() else {}


def read_vocaset(root: Path | str, ids: Collection[str]) -> dict[str, str]:
    """Id, "<subject>_sentence07" → text; none of a sentence without a line. DataError where a file cannot be read."""
    lines = {file.stem: [line for line in _lines(file) if line.strip()] for file in vocaset_sources(root).values()}
    found = {}
    for name in ids:
        subject, _, number = name.rpartition("_sentence")
        if number.isdigit() and 0 < int(number) <= len(lines.get(subject, ())):
            found[name] = tidied(lines[subject][int(number) - 1])
    return found


def read_biwi(root: Path | str, ids: Collection[str]) -> dict[str, str]:
    """Id, "F2_e07" or "F2_07" → text. DataError where the file cannot be read, or a line is not "7. text"."""
    file = Path(root, BIWI_FILE)
    if not file.is_file():
        return {}
    lines = _lines(file)
    while lines and not lines[-1].strip():
        lines.pop()
    texts = [_text(line, number, file) for number, line in enumerate(lines, 1)]
    numbers = {name: _number(name) for name in ids}
    return {name: texts[number - 1] for name, number in numbers.items() if 0 < number <= len(texts)}


def _number(name: str) -> int:
    """Of an id's sentence, 0 where it has none."""
    found = re.search(r"_e?(\d+)$", name)
    number = int(found.group(1)) if found else 0
    return number - NEUTRAL if number > NEUTRAL else number


def _text(line: str, number: int, file: Path) -> str:
    _, stop, text = line.partition(". ")
    if not stop:
        raise DataError(
            f"{file}, line {number} ({said(repr(line[:40]))}), must be a number, a full stop, a blank and the sentence"
        )
    return tidied(text)


def _lines(file: Path) -> list[str]:
    try:
        return read_text(file).splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read as text: {said(error)}; write it in UTF-8, or take it away") from None
