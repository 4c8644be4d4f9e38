"""What is written is what is read, to the bit, in every format; on the real topologies too, where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faces.arrays import read_npy, read_npz
from faces.mesh import Mesh, read_mesh, write_mesh
from faces.obj import read_positions
from faces.ply import ORDERS, read_ply, write_ply
from tests.assets import asset, needs_assets
from tests.faces.shapes import sphere


def shuffled(dtype: type) -> Mesh:
    """A sphere whose vertices and triangles are in no natural order, with doubles, extremes and a vertex of no face."""
    mesh, rng = sphere(9), np.random.default_rng(0)
    order = rng.permutation(len(mesh.vertices))
    extremes = np.array([[1e-30, -1e-8, 1 / 3], [123456.789, -0.0, 1e20], [np.pi, 2 / 3, 1e-5]])
    vertices = np.concatenate(
        [mesh.vertices[order] * (1 + 1e-9 * rng.normal(size=(len(order), 3))), extremes, extremes]
    )
    faces = rng.permutation(np.argsort(order)[mesh.faces].astype(np.int32))
    return Mesh(vertices.astype(dtype), faces)


def check(found: Mesh, mesh: Mesh) -> None:
    assert found.vertices.dtype == mesh.vertices.dtype
    assert found.vertices.tobytes() == mesh.vertices.tobytes()
    assert found.faces.dtype == np.int32
    np.testing.assert_array_equal(found.faces, mesh.faces)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ending", [".ply", ".obj"])
def test_both_types_and_the_order_are_kept(tmp_path: Path, ending: str, dtype: type) -> None:
    mesh = shuffled(dtype)
    file = write_mesh(tmp_path / f"mesh{ending}", mesh)
    check(read_mesh(file, dtype=dtype), mesh)
    assert write_mesh(tmp_path / f"again{ending}", read_mesh(file, dtype=dtype)).read_bytes() == file.read_bytes()
    if ending == ".obj":
        assert read_positions(file, dtype=dtype).tobytes() == mesh.vertices.tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", ORDERS)
def test_every_form_of_ply(tmp_path: Path, form: str, dtype: type) -> None:
    mesh = shuffled(dtype)
    check(read_ply(write_ply(tmp_path / "m.ply", mesh.vertices, mesh.faces, form=form), dtype=dtype), mesh)


def test_arrays(tmp_path: Path) -> None:
    mesh = shuffled(np.float64)
    np.save(tmp_path / "v.npy", mesh.vertices)
    np.savez_compressed(tmp_path / "m.npz", vertices=mesh.vertices, faces=mesh.faces)
    found = read_npz(tmp_path / "m.npz")
    check(Mesh(read_npy(tmp_path / "v.npy"), found["faces"]), mesh)
    check(Mesh(found["vertices"], found["faces"]), mesh)


@needs_assets
@pytest.mark.parametrize("ending", [".ply", ".obj"])
@pytest.mark.parametrize(("name", "vertices"), [("FLAME_sample.ply", 5023), ("BIWI.ply", 23370)])
def test_the_real_topologies(tmp_path: Path, name: str, vertices: int, ending: str) -> None:
    mesh = read_mesh(asset(f"meshes/{name}"))
    assert len(mesh.vertices) == vertices
    check(read_mesh(write_mesh(tmp_path / f"mesh{ending}", mesh)), mesh)
    for form in ORDERS:
        check(read_ply(write_ply(tmp_path / "m.ply", mesh.vertices, mesh.faces, form=form)), mesh)
