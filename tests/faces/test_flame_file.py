"""FLAME as it is released, a pickle of other libraries' objects, is read as arrays and cannot run code."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faces.errors import DataError
from faces.flame import Flame
from faces.flame_file import read_flame
from tests.faces.flame_models import by_columns, tiny_tables, write_npz, write_release

PARTS = ("template", "directions", "correctives", "regressor", "weights", "faces")


def same(one: Flame, other: Flame) -> bool:
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in PARTS)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_the_release_and_an_archive_hold_one_model(
    tmp_path: Path, protocol: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = tiny_tables()
    tables["J_regressor"][:, ::2] = 0  # sparse, as its name has it
    file = write_release(tmp_path / "generic_model.pkl", tables, protocol)
    for package in ("chumpy", "chumpy.ch", "scipy", "scipy.sparse"):
        monkeypatch.setitem(sys.modules, package, None)  # importing it is an error: nothing of the file's is run
    released = read_flame(file)
    assert same(released, read_flame(write_npz(tmp_path / "model.npz", tables)))
    np.testing.assert_array_equal(released.regressor, tables["J_regressor"])


def test_python_2_writes_the_other_names(tmp_path: Path) -> None:
    """Protocol 0 goes through `copy_reg._reconstructor`; both spellings of the module are let through."""
    file = write_release(tmp_path / "generic_model.pkl", tiny_tables(), protocol=0)
    content = file.read_bytes()
    assert b"ccopy_reg\n_reconstructor" in content
    assert b"cchumpy.ch\nCh" in content
    file.write_bytes(content.replace(b"ccopy_reg\n", b"ccopyreg\n"))
    assert len(read_flame(file).template) == 12


class RunsCode:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("ran",)


class Rebuilds:
    """A dictionary through the same door as the stand-ins."""

    def __reduce__(self) -> tuple:
        import copyreg

        return copyreg._reconstructor, (dict, dict, {})  # type: ignore[attr-defined]


@pytest.mark.parametrize("intruder", [RunsCode(), Rebuilds(), RunsCode])
def test_a_model_that_asks_for_more_is_refused(tmp_path: Path, intruder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = write_release(tmp_path / "generic_model.pkl", tiny_tables(), posedirs=intruder)
    with pytest.raises(DataError) as caught:
        read_flame(file)
    assert str(file) in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_a_stand_in_cannot_be_changed_by_a_file(tmp_path: Path) -> None:
    """BUILD on a name itself, rather than on an object of it, would change it for everybody."""
    for state in (b"}X\x01\x00\x00\x00xK\x01s", b"N}X\x0c\x00\x00\x00__defaults__)s\x86"):
        file = tmp_path / "generic_model.pkl"
        file.write_bytes(b"\x80\x02ccopy_reg\n_reconstructor\n" + state + b"b.")
        with pytest.raises(DataError, match="a state of what is no array"):
            read_flame(file)


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("posedirs", np.zeros((12, 3, 9)), r"posedirs, is \(12, 3, 9\), and in a FLAME model \(12, 3, 36\)"),
        ("shapedirs", np.zeros((12, 3, 300)), "shapedirs, is"),
        ("v_template", np.full((12, 3), np.nan), "numbers that are none"),
        ("weights", np.array(["a"]), "weights, holds <U1"),
        ("f", np.array([[0, 1, 12]]), "names vertices outside the 12"),
        ("kintree_table", np.array([[-1, 4, 1, 1, 1], [0, 1, 2, 3, 4]]), "no tree of joints"),
    ],
)
def test_a_model_of_another_form(tmp_path: Path, name: str, value: np.ndarray, match: str) -> None:
    with pytest.raises(DataError, match=match):
        read_flame(write_npz(tmp_path / "model.npz", tiny_tables() | {name: value}))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"_shape": (100_000, 100_000)}, "damaged sparse matrix"),
        ({"indices": np.array([99, 0])}, "damaged sparse matrix"),
        ({"_shape": None}, "damaged sparse matrix"),
    ],
)
def test_a_damaged_sparse_matrix(tmp_path: Path, change: dict[str, Any], match: str, monkeypatch) -> None:
    state = by_columns(tiny_tables()["J_regressor"]) | change
    monkeypatch.setattr("tests.faces.flame_models.by_columns", lambda full: state)
    with pytest.raises(DataError, match=match):
        read_flame(write_release(tmp_path / "generic_model.pkl", tiny_tables()))


def test_files_that_are_no_model(tmp_path: Path) -> None:
    file = tmp_path / "model.pkl"
    file.write_bytes(pickle.dumps({"lips": np.arange(3)}))
    with pytest.raises(DataError, match="is no FLAME model: it must hold v_template, shapedirs"):
        read_flame(file)
    with pytest.raises(DataError, match="cannot be read"):
        read_flame(tmp_path / "absent.pkl")
    (tmp_path / "model.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(DataError, match=r"model\.npz is damaged"):
        read_flame(tmp_path / "model.npz")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"indptr": np.array([0, 10**12])}, "names more numbers than it holds"),
        ({"indptr": np.array([0, 9, 3])}, "names more numbers than it holds"),
        ({"data": [[1], [1, 2]]}, "J_regressor, is no array"),
    ],
)
def test_a_sparse_matrix_that_would_fill_the_memory(
    tmp_path: Path, change: dict[str, Any], match: str, monkeypatch
) -> None:
    state = by_columns(tiny_tables()["J_regressor"]) | change
    monkeypatch.setattr("tests.faces.flame_models.by_columns", lambda full: state)
    with pytest.raises(DataError, match=match):
        read_flame(write_release(tmp_path / "generic_model.pkl", tiny_tables()))


def test_lists_that_are_no_arrays_and_a_model_without_triangles(tmp_path: Path) -> None:
    file = tmp_path / "model.pkl"
    file.write_bytes(pickle.dumps(tiny_tables() | {"weights": [[1], [1, 2]]}))
    with pytest.raises(DataError, match="weights, is no array"):
        read_flame(file)
    for faces in (np.zeros((0, 3), int), np.zeros((2, 3))):
        file.write_bytes(pickle.dumps(tiny_tables() | {"f": faces}))
        with pytest.raises(DataError, match="f, holds no triangles of whole numbers"):
            read_flame(file)
