"""Archives of arrays come back, and none takes more memory than its kind needs."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from faces.errors import DataError
from faces.npz import read_npz


def test_arrays_come_back(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", one=np.arange(3), two=np.eye(2))
    assert {name: array.tolist() for name, array in read_npz(tmp_path / "a.npz", 10_000).items()} == {
        "one": [0, 1, 2],
        "two": [[1, 0], [0, 1]],
    }
    assert set(read_npz(tmp_path / "a.npz", 200, ["one"])) == {"one"}


def test_what_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "bomb.npz", zeros=np.zeros(10_000_000, np.uint8))
    assert (tmp_path / "bomb.npz").stat().st_size < 20_000
    with pytest.raises(DataError, match="holds 10,000,128 bytes in arrays, more than 1,000,000"):
        read_npz(tmp_path / "bomb.npz", 1_000_000)
    np.savez(tmp_path / "object.npz", thing=np.array([{}], object))
    with zipfile.ZipFile(tmp_path / "text.npz", "w") as archive:
        archive.writestr("a.npy", "no array")
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 cut")
    for name in ("object", "text", "cut", "absent"):
        with pytest.raises(DataError, match=rf"{name}\.npz cannot be read as an archive of arrays"):
            read_npz(tmp_path / f"{name}.npz", 1000)
