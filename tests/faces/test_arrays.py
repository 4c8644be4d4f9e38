"""Archives of arrays: read whole, or refused before memory is asked for."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from faces.arrays import npz_headers, read_npz
from faces.errors import DataError


def test_arrays_come_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {"a": rng.random((3, 4)), "b": np.asfortranarray(rng.random((5, 2)).astype(np.float32)), "c": np.array(3)}
    np.savez_compressed(tmp_path / "a.npz", allow_pickle=False, **arrays)
    for name, array in read_npz(tmp_path / "a.npz").items():
        np.testing.assert_array_equal(array, arrays[name])
    assert list(read_npz(tmp_path / "a.npz", {"b"})) == ["b"]
    assert npz_headers(tmp_path / "a.npz")["a"] == ((3, 4), np.dtype("f8"))


def test_what_is_no_archive_of_arrays(tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    np.savez(file, a=np.array([{}], dtype=object))
    with pytest.raises(DataError, match="Python objects"):
        read_npz(file)
    np.savez(file, allow_pickle=False, a=np.zeros(1000))
    whole = file.read_bytes()
    file.write_bytes(whole[:500])
    with pytest.raises(DataError, match=r"no whole \.npz archive"):
        read_npz(file)
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(DataError, match="git-LFS pointer"):
        read_npz(file)


def test_a_header_that_promises_more_than_there_is(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (10**12, 3)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", stream.getvalue() + b"\0" * 100)
    with pytest.raises(DataError, match="is cut short"):
        read_npz(tmp_path / "a.npz")
    with pytest.raises(DataError, match="is cut short"):
        npz_headers(tmp_path / "a.npz")
