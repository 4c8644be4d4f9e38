"""Texts to classes and back, with a small SentencePiece model of our own, and with letters."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from faces.errors import DataError
from models.lipreader.letters import ENGLISH, Letters
from models.lipreader.pieces import Pieces
from models.lipreader.tokeniser import cleaned, tokeniser_of
from tests.models.lipreader.pieces_files import make_pieces


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path]:
    return make_pieces(tmp_path_factory.mktemp("pieces"))


@pytest.fixture(scope="module")
def pieces(files) -> Pieces:
    return Pieces.read(*files, published=False)


@pytest.mark.parametrize(
    ("text", "as_released", "made"),
    [
        ("I don't know.", False, "I DON'T KNOW"),
        ("  Well,  yes -- 24 of them!\n", False, "WELL YES OF THEM"),
        ("it’s", False, "IT'S"),
        ("", False, ""),
        ("I don't know.", True, "I don t know"),
        ("Well, yes", True, "Well  yes"),
    ],
)
def test_transcripts_are_cleaned(text, as_released, made):
    assert cleaned(text, as_released) == made


def test_pieces_are_found_by_name_in_the_list_of_units(pieces, files):
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(files[0]))
    cut = processor.encode("THE DOG DON'T SEE", out_type=str)
    classes = pieces.classes_of("The dog don't see!")
    assert [pieces.classes[number] for number in classes] == cut
    assert classes != processor.encode("THE DOG DON'T SEE"), "the model's own numbers are others"
    assert pieces.text_of(classes) == "THE DOG DON'T SEE"


def test_the_ends_of_the_classes(pieces, files):
    count = len(files[1].read_text().splitlines())
    assert pieces.classes[0] == "<blank>"
    assert pieces.classes[1] == "<unk>"
    assert pieces.classes[-1] == "<eos>"
    assert len(pieces.classes) == count + 2
    assert pieces.text_of([-1, 0, *pieces.classes_of("THE DOG"), len(pieces.classes) - 1, -1]) == "THE DOG"


def test_what_has_no_unit_is_unknown(pieces):
    """The model knows X, and the list of units has none."""
    assert "X" not in pieces.classes
    assert pieces.classes_of("x")[-1] == pieces.classes.index("<unk>") == 1


def test_as_released_nearly_everything_is_unknown(pieces):
    found = [pieces.classes[number] for number in pieces.classes_of("the quick fox", as_released=True)]
    assert set(found) == {"▁", "<unk>"}
    assert pieces.classes_of("don't") != pieces.classes_of("don t")


def test_a_tokeniser_is_its_content(pieces, monkeypatch):
    for made in (pieces, Letters()):
        again = tokeniser_of(json.loads(json.dumps(made.content())))
        assert type(again) is type(made)
        assert again.classes == made.classes
        assert again.classes_of("don't jump") == made.classes_of("don't jump")


def test_other_files_than_the_published_ones_are_refused(files):
    with pytest.raises(
        DataError, match=r"own\.model is not the published unigram5000\.model \(MD5 [0-9a-f]{32}, published f2f6"
    ):
        Pieces.read(*files)


def test_a_list_of_units_that_is_none(files, tmp_path):
    units = tmp_path / "units.txt"
    for content, said in [
        ("<unk> 1\nTHE 3\n", r"line 2: 'THE 3' is no unit; lines are a piece"),
        ("<unk>\n", r"line 1: '<unk>' is no unit"),
        ("THE 1\n", "<unk> must be among them"),
        ("<unk> 1\nA 2\nA 3\n", "must all differ"),
    ]:
        units.write_text(content)
        with pytest.raises(DataError, match=said):
            Pieces.read(files[0], units, published=False)


def test_files_that_are_none(files, tmp_path):
    with pytest.raises(DataError, match=r"absent\.model with .* cannot be read as a lip reader's tokeniser"):
        Pieces.read(tmp_path / "absent.model", files[1], published=False)
    (tmp_path / "broken.model").write_bytes(b"\x00\x01 no model at all")
    with pytest.raises(DataError, match="SentencePiece model is damaged"):
        Pieces.read(tmp_path / "broken.model", files[1], published=False)


def test_without_the_package(pieces, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    fresh = tokeniser_of(pieces.content())
    with pytest.raises(DataError, match=r"needs the package sentencepiece .*pip install 'facepipe\[lipreading\]'"):
        fresh.classes_of("THE")
    assert fresh.text_of([2]) == pieces.text_of([2]), "reading needs none"


def test_letters():
    letters = Letters()
    assert len(letters.classes) == len(ENGLISH) == 31
    classes = letters.classes_of("I don't KNOW, 2!")
    assert "".join(letters.classes[number] for number in classes) == "I|DON'T|KNOW"
    assert letters.text_of([*classes, 30, -1, 0]) == "I DON'T KNOW"
    assert "".join(letters.classes[n] for n in letters.classes_of("don't", as_released=True)) == "DON|T"
    few = Letters(["<pad>", "<unk>", "|", "A", "B", "<eos>"])
    assert few.classes_of("abc a") == [3, 4, 1, 2, 3]


@pytest.mark.parametrize(
    "classes", [["A", "<pad>", "<eos>"], ["<pad>", "A"], ["<pad>", "<eos>"], ["<pad>", "a", "A", "<eos>"]]
)
def test_letters_that_are_none(classes):
    with pytest.raises(DataError, match="a lip reader's letters"):
        Letters(classes)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "is letters or pieces, not 'None'"),
        ({"kind": "words"}, "not 'words'"),
        ({"kind": "letters"}, r"tokeniser \(letters\) is damaged"),
        ({"kind": "pieces", "model": "%%", "units": ["<unk>"]}, "no base64"),
        ({"kind": "pieces", "model": 3, "units": ["<unk>"]}, r"tokeniser \(pieces\) is damaged"),
    ],
)
def test_content_that_is_none(content, said):
    with pytest.raises(DataError, match=said):
        tokeniser_of(content)


def test_the_published_files_are_told_by_their_sums(files, monkeypatch):
    for name, file in zip(("MODEL_MD5", "UNITS_MD5"), files, strict=True):
        monkeypatch.setattr(f"models.lipreader.pieces.{name}", hashlib.md5(file.read_bytes()).hexdigest())
    assert Pieces.read(*files).classes_of("THE") == Pieces.read(*files, published=False).classes_of("THE")
    monkeypatch.setattr("models.lipreader.pieces.UNITS_MD5", "0" * 32)
    with pytest.raises(DataError, match=r"own_units\.txt is not the published unigram5000_units\.txt"):
        Pieces.read(*files)


def test_what_planning_imports_is_light():
    """Settings, sizes of a released file and tokenisers come without torch."""
    names = (
        "models.lipreader",
        *(f"models.lipreader.{name}" for name in ("published", "tokeniser", "letters", "pieces")),
    )
    code = f"import sys, {', '.join(names)}; assert not {{'torch', 'sentencepiece'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
