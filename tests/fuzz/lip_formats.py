"""What a lip reader and its error rates are read from: a tokeniser's two files, a pronouncing dictionary, a table."""

from __future__ import annotations

from pathlib import Path

from faces.pronouncing import PHONEMES, read_dictionary
from faces.visemes import TABLE, read_table
from models.lipreader.pieces import Pieces
from tests.fuzz.form import Format
from tests.fuzz.mutations import Seed

DICTIONARY = b";;; words\nSAID  S EH1 D\nSAID(1)  S EY1 D\nDON'T  D OW1 N T # a comment\n"
UNITS = "<unk> 1\n▁ 2\nA 3\nB 4\n▁AB 5\n".encode()


def _tables(folder: Path) -> list[Seed]:
    return [Seed(TABLE.read_bytes())]


def _dictionaries(folder: Path) -> list[Seed]:
    return [Seed(DICTIONARY)]


def _units(folder: Path) -> list[Seed]:
    (folder / "a.model").write_bytes(model(folder))
    return [Seed(UNITS)]


def _models(folder: Path) -> list[Seed]:
    (folder / "units.txt").write_bytes(UNITS)
    return [Seed(model(folder))]


def model(folder: Path) -> bytes:
    """A SentencePiece model of a dozen pieces."""
    import sentencepiece

    (folder / "text.txt").write_text("AB BA AAB ABBA\n" * 20)
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text.txt"),
        model_prefix=str(folder / "made"),
        vocab_size=8,
        minloglevel=2,
        normalization_rule_name="identity",
    )
    return (folder / "made.model").read_bytes()


def _dictionary(file: Path) -> None:
    assert all(PHONEMES.issuperset(phonemes) for phonemes in read_dictionary(file).values())


def _table(file: Path) -> None:
    assert set(read_table(file)) == PHONEMES


def _pieces(file: Path, units: Path) -> None:
    pieces = Pieces.read(file, units, published=False)
    found = pieces.classes_of("AB BA x")
    assert all(0 < number < len(pieces.classes) - 1 for number in found)
    pieces.text_of(found)


LIP_FORMATS = {
    "cmudict": Format("a.txt", _dictionaries, _dictionary),
    "visemes": Format("a.toml", _tables, _table),
    "units": Format("units.txt", _units, lambda file: _pieces(file.parent / "a.model", file)),
    "sentencepiece": Format("a.model", _models, lambda file: _pieces(file, file.parent / "units.txt")),
}
