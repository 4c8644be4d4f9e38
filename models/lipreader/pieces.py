"""The published lip reader's pieces of text: a SentencePiece model (Kudo and Richardson, EMNLP 2018), a list of units.

The model cuts a text; the list alone says which class a piece is. The numbers inside the model are others. Both files
are the user's (Auto-AVSR's repository has them); the package `sentencepiece` is imported when a text is cut.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from faces.errors import DataError, said
from faces.texts import read_text
from models.lipreader.tokeniser import BLANK, END, cleaned

MODEL_MD5 = "f2f6e8407b86538cf0c635a534eda799"
"""Of the published `unigram5000.model`."""
UNITS_MD5 = "e652da86609085b8f77e5cffcd1943bd"
"""Of the published `unigram5000_units.txt`."""
UNKNOWN, SPACE = "<unk>", "▁"
MOST_BYTES = 16 << 20


class Pieces:
    """model: the bytes of a SentencePiece model. units: pieces of the classes 1, 2, …, `<unk>` among them."""

    def __init__(self, model: bytes, units: Sequence[str]) -> None:
        self._model = model
        self.classes = (BLANK, *units, END)
        self._numbers = {name: number for number, name in enumerate(units, 1)}
        if UNKNOWN not in self._numbers or len(self._numbers) < len(units):
            raise DataError(f"a lip reader's units must all differ, and {UNKNOWN} must be among them")

    @classmethod
    def read(cls, model: Path, units: Path, published: bool = True) -> Pieces:
        """From the two files. published: they must be those of the published weights, which are told by their MD5;
        say False for a tokeniser of one's own. DataError where they are not, or cannot be read."""
        try:
            content = _bytes(model)
            listed = read_text(units, most=MOST_BYTES)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{model} with {units} cannot be read as a lip reader's tokeniser: {said(error)}"
            ) from error
        if published:
            _check(model, content, MODEL_MD5, "unigram5000.model")
            _check(units, _bytes(units), UNITS_MD5, "unigram5000_units.txt")
        listed_units = _units(units, listed)
        try:
            made = cls(content, listed_units)
            made.classes_of("A")  # a file that is no model is refused here, and not in the middle of a training
        except DataError as error:
            raise DataError(f"{model} with {units}: {error}") from error
        return made

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Pieces:
        """What `content` described."""
        try:
            model = base64.b64decode(content["model"], validate=True)
        except (ValueError, binascii.Error) as error:
            raise DataError("a lip reader's tokeniser is damaged: its SentencePiece model is no base64") from error
        return cls(model, [str(name) for name in content["units"]])

    def content(self) -> dict[str, Any]:
        """The model in base64, a third longer than its file (0.3 MB for the published one)."""
        model = base64.b64encode(self._model).decode("ascii")
        return {"kind": "pieces", "model": model, "units": list(self.classes[1:-1])}

    def classes_of(self, text: str, as_released: bool = False) -> list[int]:
        """See `Tokeniser.classes_of` and `cleaned`. `<unk>` for pieces that the list of units lacks."""
        pieces: list[str] = self._processor.encode(cleaned(text, as_released), out_type=str)
        unknown = self._numbers[UNKNOWN]
        return [self._numbers.get(piece, unknown) for piece in pieces]

    def text_of(self, classes: Iterable[int]) -> str:
        last = len(self.classes) - 1
        pieces = (self.classes[number] for number in classes if 0 < number < last)
        return "".join(pieces).replace(SPACE, " ").strip()

    @cached_property
    def _processor(self) -> Any:
        try:
            import sentencepiece
        except ImportError as error:
            raise DataError(
                f"the lip reader's tokeniser needs the package sentencepiece ({error}): pip install "
                "'facepipe[lipreading]'"
            ) from error
        try:
            made = sentencepiece.SentencePieceProcessor()
            made.LoadFromSerializedProto(self._model)
        except (RuntimeError, TypeError) as error:
            raise DataError(f"the lip reader's SentencePiece model is damaged ({said(error)}): get it again") from error
        return made


def _bytes(file: Path) -> bytes:
    with open(file, "rb") as stream:
        content = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"{file} has more than {MOST_BYTES:,} bytes")
    return content


def _check(file: Path, content: bytes, wanted: str, name: str) -> None:
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != wanted:
        raise DataError(
            f"{file} is not the published {name} (MD5 {found}, published {wanted}): get that file from Auto-AVSR's "
            "repository, or set published_pieces = false where the tokeniser is one of your own"
        )


def _units(file: Path, listed: str) -> list[str]:
    """Lines `piece number`, numbers from 1 on."""
    units: list[str] = []
    for line in listed.splitlines():
        piece, _, number = line.rstrip().rpartition(" ")
        if not piece or number != str(len(units) + 1):
            raise DataError(
                f"{file}, line {len(units) + 1}: {line[:40]!r} is no unit; lines are a piece, a space and its number, "
                "from 1 on"
            )
        units.append(piece)
    return units
