from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faces.errors import DataError
from faces.regions import read_region, read_regions, region_digest, write_region


@pytest.mark.parametrize("text", ["3\n1\n1\n7\n", "3, 1, 1, 7", "3,1,1,7\n", "3 1 1\t7"])
def test_every_published_form_is_read_in_order(tmp_path: Path, text: str) -> None:
    (tmp_path / "lips.txt").write_text(text)
    assert read_region(tmp_path / "lips.txt", vertices=8).tolist() == [3, 1, 1, 7]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = write_region(tmp_path / "lips.txt", [5, 2, 2])
    assert file.read_bytes() == b"5\n2\n2\n"
    assert read_region(file).tolist() == [5, 2, 2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1\n8\n", "names vertex 8 of a mesh of 8 vertices"),
        ("1\n-2\n", "holds the vertex index -2"),
        ("1\n2.5\n", "not a list of vertex indices"),
        ("a b", "not a list of vertex indices"),
        ("99999999999999999999", "not a list of vertex indices"),
        ("\n", "empty region"),
    ],
)
def test_bad_regions_are_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "lips.txt").write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        read_region(tmp_path / "lips.txt", vertices=8)
    assert "lips.txt" in str(caught.value)


def test_an_absent_region_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.txt cannot be read"):
        read_region(tmp_path / "no.txt")


LIST = [3, 1, 1, 7]
TABLE = {"nose": [2], "lips": LIST}


def written(file: Path, content: Any) -> Path:
    """A region file of the form that its ending says."""
    match file.suffix:
        case ".pkl":
            file.write_bytes(pickle.dumps(content, protocol=2))
        case ".json":
            file.write_text(json.dumps(content))
        case _:
            np.save(file, content)
    return file


@pytest.mark.parametrize("ending", [".pkl", ".json", ".npy"])
def test_lists_of_other_forms_are_read_in_order(tmp_path: Path, ending: str) -> None:
    file = written(tmp_path / f"lve{ending}", np.array(LIST, np.uint16) if ending == ".npy" else LIST)
    assert read_region(file, vertices=8).tolist() == LIST
    assert {name: one.tolist() for name, one in read_regions(file).items()} == {"lve": LIST}
    assert list(read_regions(file, name="lips")) == ["lips"]


@pytest.mark.parametrize("ending", [".pkl", ".json"])
def test_tables_hold_regions_by_name(tmp_path: Path, ending: str) -> None:
    file = written(tmp_path / f"masks{ending}", TABLE)
    assert {name: one.tolist() for name, one in read_regions(file, 8).items()} == {"lips": LIST, "nose": [2]}
    with pytest.raises(DataError, match="holds the 2 regions lips, nose; give a file of one region"):
        read_region(file)


BAD = {
    "words.json": (["a"], "words.json is not a list of vertex indices"),
    "halves.json": ([1.5], "not a list of vertex indices"),
    "ragged.json": ([[1], [2, 3]], "not a list of vertex indices"),
    "huge.json": ([10**30], "not a list of vertex indices"),
    "number.json": (3, "not a list of vertex indices"),
    "none.json": ([], "empty region"),
    "table.json": ({}, "empty table of regions"),
    "path.json": ({"../lips": [1]}, "rename it"),
    "outside.pkl": ({"lips": [8]}, "region lips names vertex 8 of a mesh of 8 vertices"),
    "below.npy": (np.array([-1]), "holds the vertex index -1"),
    "plane.npy": (np.zeros((2, 3), int), "not a list of vertex indices"),
    "floats.npy": (np.ones(3), "not a list of vertex indices"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_lists_of_other_forms_are_refused(tmp_path: Path, name: str) -> None:
    content, words = BAD[name]
    with pytest.raises(DataError, match=words) as caught:
        read_regions(written(tmp_path / name, content), vertices=8)
    assert name in str(caught.value)


@pytest.mark.parametrize("ending", [".txt", ".pkl", ".json", ".npy"])
def test_what_is_no_file_of_its_form_is_refused(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"lips{ending}"
    with pytest.raises(DataError, match="cannot be read"):
        read_regions(file)
    file.write_bytes(b"\x93[\xff1,")
    with pytest.raises(DataError, match=f"lips\\{ending}"):
        read_regions(file)


def test_region_digest_tells_vertices_and_not_their_order() -> None:
    def digests(repeats: bool) -> list[str]:
        return [region_digest(np.array(some), repeats) for some in ([1, 2], [2, 1], [2, 1, 2], [12], [1])]

    once, again = digests(False), digests(True)
    assert once[0] == once[1] == once[2] == again[0] == again[1]
    assert len({*once}) == 3
    assert len({*again}) == 4
    assert region_digest(np.array([1, 2], np.int32)) == region_digest(np.array([1, 2], np.int64))
