"""Frames of the BIWI corpus: both widths of the count, and files that are no whole frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faces.errors import DataError
from faces.vl import read_vl, write_vl

POINTS = np.arange(21, dtype=np.float32).reshape(7, 3)


@pytest.mark.parametrize("count", ["<u4", "<u8"])
def test_a_count_of_32_or_of_64_bits(tmp_path: Path, count: str) -> None:
    (tmp_path / "frame_001.vl").write_bytes(np.array(7, count).tobytes() + POINTS.tobytes())
    found = read_vl(tmp_path / "frame_001.vl")
    np.testing.assert_array_equal(found, POINTS)
    assert found.dtype == np.float32


def test_what_is_written_is_read_and_has_the_corpus_s_size(tmp_path: Path) -> None:
    points = np.zeros((23370, 3))
    file = write_vl(tmp_path / "frame_001.vl", points)
    assert file.stat().st_size == 280_444
    assert read_vl(file).shape == (23370, 3)


WHOLE = np.array(7, "<u4").tobytes() + POINTS.tobytes()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it has 0 bytes"),
        (b"abc", "it has 3 bytes"),
        (WHOLE[:-1], "it has 87 bytes, and the 7 vertices it counts take 88"),
        (WHOLE + b"x", "it has 89 bytes, and the 7 vertices it counts take 88"),
        (bytes(4), "its count of vertices is 0"),
        (bytes(8), "its count of vertices is 0"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git-LFS pointer"),
    ],
)
def test_a_file_of_the_wrong_size_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "frame_017.vl").write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        read_vl(tmp_path / "frame_017.vl")
    assert "frame_017.vl" in str(caught.value)


def test_an_absent_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.vl cannot be read: No such file"):
        read_vl(tmp_path / "no.vl")
