"""HDF5: plain, contiguous numbers in the file itself, and nothing that HDF5 can do besides."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from faces.errors import DataError
from faces.hdf5 import h5_dataset, h5_holds, h5_names, open_h5, read_h5

ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)


def read(file: Path, name: str) -> np.ndarray:
    with open_h5(file) as opened:
        return read_h5(opened, name)


def test_plain_numbers(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["b"], file["a/inner"] = ROWS, ROWS.astype(np.float16)
    with open_h5(tmp_path / "a.h5") as file:
        assert h5_names(file) == ["a", "b"]
        assert h5_holds(file, "b")
        assert not h5_holds(file, "c")
        assert h5_dataset(file, "b").shape == (3, 4)
        np.testing.assert_array_equal(read_h5(file, "a/inner"), ROWS)
        with pytest.raises(KeyError):
            read_h5(file, "c")
        with pytest.raises(DataError, match="b has 2 axes, not 1"):
            read_h5(file, "b", axes=1)


def test_what_points_elsewhere_or_is_not_simply_there(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(64))
    layout = h5py.VirtualLayout((3, 4), np.float32)
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (3, 4))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["soft"], file["hard"] = h5py.SoftLink("/soft"), ROWS
        file["outer"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "x")
        file.create_dataset("outside", (4,), np.float32, external=[(str(tmp_path / "secret"), 0, 16)])
        file.create_dataset("packed", data=np.zeros((999, 9)), compression="gzip")
        file.create_dataset("unwritten", (1 << 40,), np.float32)
        file["texts"], file["group/x"] = ["a", "b"], ROWS
        file.create_virtual_dataset("virtual", layout)
    for name in ("soft", "outer"):
        with pytest.raises(DataError, match=rf"a\.h5: {name} points elsewhere"):
            read(tmp_path / "a.h5", name)
    for name in ("outside", "packed", "unwritten", "texts", "virtual", "group"):
        with pytest.raises(DataError, match=rf"a\.h5: {name} (is no plain|declares)"):
            read(tmp_path / "a.h5", name)


def test_files_that_are_none_or_cut_short(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = np.zeros(1000)
    content = (tmp_path / "a.h5").read_bytes()
    for size in (0, 4, 100, len(content) // 2, len(content) - 1):
        (tmp_path / "cut.h5").write_bytes(content[:size])
        with pytest.raises(DataError, match=r"cut\.h5 cannot be read as HDF5"):
            read(tmp_path / "cut.h5", "a")
    (tmp_path / "cut.h5").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(DataError, match="git-LFS pointer"):
        read(tmp_path / "cut.h5", "a")
