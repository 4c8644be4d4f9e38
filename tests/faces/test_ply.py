"""Meshes keep their vertex order and their triangles through PLY, whichever way a file was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faces.errors import DataError
from faces.ply import read_ply, write_ply

POINTS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.5]], dtype=np.float32)
FACES = np.array([[0, 1, 2], [0, 3, 1]], dtype=np.int32)
HEADER = """ply
format {form} 1.0
comment made by hand
element vertex 4
property {real} x
property {real} y
property {real} z
property uchar red
element face 2
property list uint8 {whole} vertex_index
end_header
"""


def test_a_written_mesh_reads_back(tmp_path: Path) -> None:
    mesh = read_ply(write_ply(tmp_path / "m.ply", POINTS, FACES))
    np.testing.assert_array_equal(mesh.vertices, POINTS)
    np.testing.assert_array_equal(mesh.faces, FACES)
    assert (mesh.vertices.dtype, mesh.faces.dtype) == (np.float32, np.int32)


@pytest.mark.parametrize(("form", "order"), [("binary_little_endian", "<"), ("binary_big_endian", ">")])
def test_binary_with_colours_doubles_and_short_indices(tmp_path: Path, form: str, order: str) -> None:
    body = b"".join(p.astype(order + "f8").tobytes() + b"\x07" for p in POINTS)
    body += b"".join(b"\x03" + f.astype(order + "u2").tobytes() for f in FACES)
    (tmp_path / "m.ply").write_bytes(HEADER.format(form=form, real="double", whole="uint16").encode() + body)
    mesh = read_ply(tmp_path / "m.ply")
    np.testing.assert_array_equal(mesh.vertices, POINTS)
    np.testing.assert_array_equal(mesh.faces, FACES)


def test_ascii(tmp_path: Path) -> None:
    body = "".join(f"{x} {y} {z} 9\n" for x, y, z in POINTS) + "".join(f"3 {a} {b} {c}\n" for a, b, c in FACES)
    (tmp_path / "m.ply").write_text(HEADER.format(form="ascii", real="float", whole="int") + body)
    mesh = read_ply(tmp_path / "m.ply")
    np.testing.assert_array_equal(mesh.vertices, POINTS)
    np.testing.assert_array_equal(mesh.faces, FACES)


def test_a_quadrangle_is_refused(tmp_path: Path) -> None:
    body = "".join(f"{x} {y} {z} 9\n" for x, y, z in POINTS) + "3 0 1 2\n4 0 1 2 3\n"
    (tmp_path / "m.ply").write_text(HEADER.format(form="ascii", real="float", whole="int") + body)
    with pytest.raises(DataError, match=r"m\.ply is not a complete PLY mesh of triangles"):
        read_ply(tmp_path / "m.ply")


def test_a_corner_outside_the_mesh_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="outside its 4 vertices"):
        read_ply(write_ply(tmp_path / "m.ply", POINTS, FACES + 3))


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_refused(tmp_path: Path, part: float) -> None:
    content = write_ply(tmp_path / "m.ply", POINTS, FACES).read_bytes()
    (tmp_path / "m.ply").write_bytes(content[: int(len(content) * part)])
    with pytest.raises(DataError, match=r"m\.ply"):
        read_ply(tmp_path / "m.ply")


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"m\.ply cannot be read"):
        read_ply(tmp_path / "m.ply")
