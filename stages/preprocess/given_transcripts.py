"""What is said, where a user has it in writing: `transcripts.json` in a data set's folder, id → text. Light to plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from faces.errors import DataError, said
from faces.texts import read_json, read_text
from stages.kinds.sequences import TRANSCRIPTS

SOURCE = "what is said"
"""How the engine speaks of the file."""
MOST_NAMED = 3


def sources(root: Path | str) -> dict[str, Path]:
    """The file, if it is there. No sequence hangs on it: its words are neither motion nor sound."""
    file = Path(root, TRANSCRIPTS)
    return {SOURCE: file} if file.is_file() else {}


def read(root: Path | str, ids: Collection[str], *, some: bool = False) -> dict[str, str]:
    """Id → text, white space as single spaces; empty where there is no file.

    ids: of all sequences that the data have. some: settings leave sentences out, whose texts then are no mistake.
    DataError for a file that is no such table, and for ids that nobody has.
    """
    file = Path(root, TRANSCRIPTS)
    if not file.is_file():
        return {}
    try:
        texts = read_json(file)
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read as JSON: {said(error)}; correct it, or take it away") from None
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise DataError(f'{file} must be a table of id and text, {{"<subject>_<sentence>": "what is said", …}}')
    strange = [] if some else sorted(texts.keys() - set(ids))
    if strange:
        more = f" and {len(strange) - MOST_NAMED} more" if len(strange) > MOST_NAMED else ""
        named = ", ".join(said(name) for name in strange[:MOST_NAMED])
        raise DataError(f"{file} has a text of {named}{more}, which the data do not have; check the spelling")
    return {name: tidied(text) for name, text in texts.items()}


def read_beside(files: Mapping[str, Path]) -> dict[str, str]:
    """Id → the text of its own file, white space as single spaces. DataError where one cannot be read."""
    return {name: _read_one(file) for name, file in files.items()}


def _read_one(file: Path) -> str:
    try:
        return tidied(read_text(file))
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read as text: {said(error)}; write it in UTF-8, or take it away") from None


def tidied(text: str) -> str:
    """Without white space at the ends, and single spaces within."""
    return " ".join(text.split())
