"""A pickle gives arrays and containers, whatever Python wrote it, and never runs code."""

from __future__ import annotations

import collections
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from faces.errors import DataError
from faces.safe_pickle import load_pickle

PYTHON_2 = (
    b"\x80\x02}q\x01U\x04lipsq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87Rq\x05"
    b"(K\x01K\x02\x85cnumpy\ndtype\nq\x06U\x02u2K\x00K\x01\x87Rq\x07(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    b"\x89U\x04\x07\x00\xe9\xffq\x08tbs."
)
"""{"lips": array([7, 65513], uint16)} as Python 2 wrote it: old module names, bytes as str, a byte above 127."""


class RunsCode:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.marker),)


def save(folder: Path, thing: object, protocol: int = 2) -> Path:
    file = folder / "thing.pkl"
    file.write_bytes(pickle.dumps(thing, protocol=protocol))
    return file


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_scalars_and_containers_come_back(tmp_path: Path, protocol: int) -> None:
    audio = np.arange(-5, 5, dtype=np.int16)
    thing = {
        "a": {"sentence01": {"audio": audio, "sample_rate": 22000, "gain": np.float32(0.5)}},
        "b": [(1, "ü"), {2.5}],
    }
    back = load_pickle(save(tmp_path, thing, protocol))
    assert back["a"]["sentence01"]["audio"].dtype == np.int16
    np.testing.assert_array_equal(back["a"]["sentence01"]["audio"], audio)
    assert back["a"]["sentence01"]["gain"] == np.float32(0.5)
    assert back["b"] == thing["b"]


def test_a_python_2_pickle_is_read_as_latin1(tmp_path: Path) -> None:
    file = tmp_path / "masks.pkl"
    file.write_bytes(PYTHON_2)
    np.testing.assert_array_equal(load_pickle(file)["lips"], np.array([7, 0xFFE9], dtype=np.uint16))


@pytest.mark.parametrize("protocol", range(6))
def test_code_is_refused_by_name_and_never_runs(tmp_path: Path, protocol: int) -> None:
    file = save(tmp_path, {"audio": RunsCode(tmp_path / "ran")}, protocol)
    with pytest.raises(DataError, match=r"thing\.pkl is refused: it asks for \w+\.mkdir"):
        load_pickle(file)
    assert not (tmp_path / "ran").exists()


def test_harmless_but_foreign_classes_are_refused_too(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"collections\.Counter"):
        load_pickle(save(tmp_path, collections.Counter("aab")))


def test_a_refused_name_inside_an_object_array_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="mkdir"):
        load_pickle(save(tmp_path, np.array([RunsCode(tmp_path / "ran")], dtype=object)))
    assert not (tmp_path / "ran").exists()


def test_other_codecs_are_out_of_reach(tmp_path: Path) -> None:
    file = tmp_path / "zip.pkl"
    file.write_bytes(b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00zip\x86R.")
    with pytest.raises(DataError, match="zip"):
        load_pickle(file)


def test_a_truncated_pickle(tmp_path: Path) -> None:
    file = save(tmp_path, {"audio": np.arange(1000)})
    for size in (0, 1, 40, file.stat().st_size // 2, file.stat().st_size - 1):
        (tmp_path / "cut.pkl").write_bytes(file.read_bytes()[:size])
        with pytest.raises(DataError, match=r"cut\.pkl is .*(copy or download it again)"):
            load_pickle(tmp_path / "cut.pkl")


def test_a_git_lfs_pointer(tmp_path: Path) -> None:
    file = tmp_path / "templates.pkl"
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n")
    with pytest.raises(DataError, match="git-LFS pointer"):
        load_pickle(file)


def test_text_and_absent_files(tmp_path: Path) -> None:
    (tmp_path / "page.pkl").write_text("<html>not found</html>")
    with pytest.raises(DataError, match=r"page\.pkl"):
        load_pickle(tmp_path / "page.pkl")
    with pytest.raises(DataError, match=r"absent\.pkl cannot be read"):
        load_pickle(tmp_path / "absent.pkl")
