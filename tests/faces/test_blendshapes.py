"""Bases of blendshapes in their forms, and tables of weights as programs write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faces.blendshapes import Basis, plain_name, read_basis, read_curves
from faces.errors import DataError
from faces.mesh import Mesh, write_mesh
from tests.stages.preprocess.own_files import People, egg, write_basis, write_curves, write_glb

MESH, SHAPES = egg()


def test_names_are_compared_as_programs_write_them() -> None:
    assert {plain_name(name) for name in ("eyeBlink_L", "EyeBlinkLeft", "eyeBlinkLeft", "eye blink_l")} == {
        "eyeblinkleft"
    }
    assert plain_name("jawOpen") != plain_name("jawOpen_R")


@pytest.mark.parametrize("form", ["folder", "npz", "glb"])
def test_a_basis_in_each_form(tmp_path: Path, form) -> None:
    path = tmp_path / f"basis.{form}"
    if form == "folder":
        write_basis(path, People())
    elif form == "npz":
        arrays = {name: MESH.vertices + delta for name, delta in SHAPES.items()}
        np.savez(path, allow_pickle=False, neutral=MESH.vertices, faces=MESH.faces, **arrays)
    else:
        write_glb(path, MESH, SHAPES, np.zeros((1, 3), np.float32), 30)
    basis: Basis = read_basis(path)
    np.testing.assert_array_equal(basis.neutral, MESH.vertices)
    np.testing.assert_array_equal(basis.faces, MESH.faces)
    assert list(sorted(basis.deltas)) == ["jawopen", "mouthpucker", "mouthsmileleft"]
    np.testing.assert_allclose(basis.deltas["mouthsmileleft"], SHAPES["mouthSmile_L"], atol=1e-7)


def test_a_table_with_timecode(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).random((95, 3)).astype(np.float32)
    write_curves(tmp_path / "a.csv", list(SHAPES), weights, 30)
    curves = read_curves(tmp_path / "a.csv")
    assert curves.names == ("jawopen", "mouthsmileleft", "mouthpucker", "headyaw")
    np.testing.assert_allclose(curves.weights[:, :3], weights, atol=1e-8)
    assert (curves.unit, curves.rate) == ("frames", 30)
    assert curves.clock is not None
    np.testing.assert_array_equal(np.diff(curves.clock), np.ones(94))


def test_a_table_of_seconds_and_one_of_frames(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time,jawOpen\n0,0\n0.04,1\n\n0.08,0.5\n")
    (tmp_path / "b.csv").write_text("\ufeffframe,jawOpen\n1,0\n2,1\n")
    seconds, frames = read_curves(tmp_path / "a.csv"), read_curves(tmp_path / "b.csv")
    assert (seconds.unit, seconds.weights[:, 0].tolist()) == ("s", [0, 1, 0.5])
    assert (frames.unit, frames.names) == ("frames", ("jawopen",))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("time,jawOpen\n0,0\n0.1\n", "line 3, has 1 of 2 columns"),
        ("time,jawOpen\n0,x\n", "line 2: could not convert"),
        ("time,jawOpen\nx,0\n", "column time"),
        ("Timecode,jawOpen\n12,0\n", "not of the form HH:MM:SS:FF"),
        ("time,jawOpen,JawOpen\n0,0,0\n", "one twice"),
        ("", "is empty"),
        ("time\n0\n", "no head line"),
        ("version https://git-lfs.github.com/spec/v1\n", "git-LFS pointer"),
    ],
)
def test_a_table_that_is_none(tmp_path: Path, text, sentence) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError) as error:
        read_curves(tmp_path / "a.csv")
    assert sentence in str(error.value)


def test_a_basis_that_is_none(tmp_path: Path) -> None:
    write_basis(tmp_path / "basis", People())
    write_mesh(tmp_path / "basis" / "jawOpen.obj", Mesh(MESH.vertices[:-1], MESH.faces[:3]))
    with pytest.raises(DataError, match="export all shapes from one mesh"):
        read_basis(tmp_path / "basis")
    (tmp_path / "basis" / "neutral.obj").unlink()
    with pytest.raises(DataError, match=r"holds no neutral\.obj"):
        read_basis(tmp_path / "basis")
    np.savez(tmp_path / "a.npz", allow_pickle=False, jawOpen=MESH.vertices)
    with pytest.raises(DataError, match="no array 'neutral'"):
        read_basis(tmp_path / "a.npz")
    with pytest.raises(DataError, match="is no basis of blendshapes"):
        read_basis(tmp_path / "a.txt")


@pytest.mark.parametrize(
    "text",
    [
        "jawOpen\n" + "x" * 9000,
        "time,jawOpen\nnan,0\n",
        "frame,jawOpen\n1e999,0\n",
        f"Timecode,jawOpen\n11:07:01:{'9' * 500},0\n11:07:02:01,0\n",
    ],
)
def test_an_error_is_a_sentence_whatever_a_cell_holds(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        read_curves(tmp_path / "a.csv")
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"jawOpen": np.array(["a"])}, "jawOpen, holds <U1 and no positions"),
        ({"jawOpen": np.ones((114, 3), bool)}, "jawOpen, holds bool and no positions"),
        ({"jawOpen": np.full((114, 3), 1e300)}, "holds NaN or infinity"),
        ({"faces": np.full((1, 3), np.nan)}, r"triangles of float64 \(1, 3\), not whole numbers"),
        ({"faces": np.arange(4)}, r"triangles of int64 \(4,\), not whole numbers"),
        ({"faces": np.array([[0, 1, 2**63]], np.uint64)}, "a corner outside"),
        ({"faces": np.array([[0, 1, 2**32 + 2]])}, "a corner outside"),
    ],
)
def test_a_basis_of_other_numbers(tmp_path: Path, arrays: dict[str, np.ndarray], sentence: str) -> None:
    np.savez(tmp_path / "a.npz", allow_pickle=False, **{"neutral": MESH.vertices, "jawOpen": MESH.vertices, **arrays})
    with pytest.raises(DataError, match=sentence):
        read_basis(tmp_path / "a.npz")


def test_a_basis_of_unsigned_numbers(tmp_path: Path) -> None:
    """Less than the neutral shape is not 255 more."""
    np.savez(tmp_path / "a.npz", allow_pickle=False, neutral=np.full((4, 3), 2, np.uint8), a=np.ones((4, 3), np.uint8))
    np.testing.assert_array_equal(read_basis(tmp_path / "a.npz").deltas["a"], -np.ones((4, 3)))
