from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faces.errors import DataError
from faces.mesh import read_mesh, write_mesh
from faces.normals import vertex_normals
from tests.faces.shapes import SQUARE_FACES, sphere, square

SEAMS = """# two triangles with a texture seam, a double of vertex 1 and a vertex of no face
v 0 0 0
v 0 0 0
v 1 0 0
v 1 1 0
v 5 5 5
vt 0 0
vt 1 0
vn 0 0 1
f 1/1/1 3/2/1 4/1/1
f 2//1 4//1 3/2
f -5 -4 -3 -2
"""


@pytest.mark.parametrize("ending", [".ply", ".obj", ".PLY"])
def test_what_is_written_is_read(tmp_path: Path, ending: str) -> None:
    mesh = sphere(6)
    found = read_mesh(write_mesh(tmp_path / f"mesh{ending}", mesh))
    np.testing.assert_array_equal(found.vertices, mesh.vertices)
    np.testing.assert_array_equal(found.faces, mesh.faces)
    assert (found.vertices.dtype, found.faces.dtype) == (np.float32, np.int32)


def test_obj_keeps_doubles_loose_vertices_and_order(tmp_path: Path) -> None:
    (tmp_path / "seams.obj").write_text(SEAMS)
    mesh = read_mesh(tmp_path / "seams.obj")
    assert mesh.vertices.tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0], [1, 1, 0], [5, 5, 5]]
    assert mesh.faces.tolist() == [[0, 2, 3], [1, 3, 2], [0, 1, 2], [0, 2, 3]]


def test_other_formats_keep_their_order(tmp_path: Path) -> None:
    (tmp_path / "mesh.off").write_text("OFF\n5 2 0\n0 0 0\n0 0 0\n1 0 0\n1 1 0\n5 5 5\n3 0 2 3\n3 1 3 2\n")
    mesh = read_mesh(tmp_path / "mesh.off")
    assert mesh.vertices.tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0], [1, 1, 0], [5, 5, 5]]
    assert mesh.faces.tolist() == [[0, 2, 3], [1, 3, 2]]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.obj", "v 0 0\n", "line 1, is not OBJ"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "outside its 3 vertices"),
        ("a.obj", "v 0 0 0\nf 1 2\n", "line 2, is not OBJ"),
        ("a.obj", "v 0 0 0\nf 0 0 0\n", "numbered from 1"),
        ("a.obj", "v 0 zero 0\n", "line 1, is not OBJ"),
        ("a.obj", "solid\n", "no vertices"),
        ("a.ply", "solid\n", "not a PLY file"),
        ("a.off", "nothing\n", "cannot be read as a mesh"),
        ("a.zip", "nothing\n", "cannot be read as a mesh"),
        ("a.gltf", "{}", "cannot be read as a mesh"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=words) as caught:
        read_mesh(tmp_path / name)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["no.ply", "no.obj", "no.off"])
def test_absent_files_are_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=name):
        read_mesh(tmp_path / name)


def test_unknown_ending_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\.ply or \.obj"):
        write_mesh(tmp_path / "mesh.fbx", sphere(4))
    assert not list(tmp_path.iterdir())


def test_normals_of_a_sphere_point_outwards() -> None:
    mesh = sphere(24)
    normals = vertex_normals(mesh.vertices, mesh.faces)
    outwards = mesh.vertices / np.linalg.norm(mesh.vertices, axis=1, keepdims=True)
    assert (normals * outwards).sum(axis=1).min() > 0.999
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-6)


def test_normals_are_weighted_by_area_and_zero_where_there_is_no_triangle() -> None:
    vertices = np.concatenate([square(0, 1, 0, 1), [[9, 9, 9]], [[0, 0, 0], [1, 0, 0], [2, 0, 0]]])
    faces = np.concatenate([SQUARE_FACES, [[5, 6, 7]]])  # the last has no area
    normals = vertex_normals(vertices, faces)
    assert normals[:4].tolist() == [[0, 0, 1]] * 4
    assert normals[4:].tolist() == [[0, 0, 0]] * 4
