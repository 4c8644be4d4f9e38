from __future__ import annotations

from pathlib import Path

import pytest

from faces.errors import DataError
from faces.regions import read_region, write_region


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
