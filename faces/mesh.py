"""Reading and writing mesh files, by their ending, with the vertex order kept: vertex i of the file is row i.

PLY and OBJ are read by our own code; OFF, STL and what else `trimesh` knows by that, told not to merge vertices.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from faces.errors import DataError
from faces.obj import read_obj
from faces.ply import Mesh, read_ply, write_ply

__all__ = ["Mesh", "read_mesh", "write_mesh"]


def read_mesh(file: Path, *, dtype: DTypeLike = np.float32) -> Mesh:
    """Read a triangle mesh. DataError where the file is absent or no triangle mesh.

    dtype: float32, or float64, of the positions.
    """
    file = Path(file)
    match file.suffix.lower():
        case ".ply":
            return read_ply(file, dtype=dtype)
        case ".obj":
            return read_obj(file, dtype=dtype)
        case _:
            return _read_other(file, dtype)


def write_mesh(file: Path, mesh: Mesh) -> Path:
    """Write PLY (binary) or OBJ (positions in shortest exact decimals); equal meshes give equal bytes.

    Positions are kept to the bit, float64 as such in both.
    """
    file = Path(file)
    match file.suffix.lower():
        case ".ply":
            return write_ply(file, mesh.vertices, mesh.faces)
        case ".obj":
            return _write_obj(file, mesh)
        case other:
            raise DataError(f"{file}: meshes are written as .ply or .obj, not as {other or 'a name without ending'}")


def _write_obj(file: Path, mesh: Mesh) -> Path:
    lines = [f"v {x!s} {y!s} {z!s}\n" for x, y, z in mesh.vertices]
    lines += [f"f {a} {b} {c}\n" for a, b, c in (mesh.faces + 1).tolist()]
    file.write_text("".join(lines), encoding="ascii")
    return file


def _read_other(file: Path, dtype: DTypeLike) -> Mesh:
    import trimesh  # half a second to import, and hardly ever needed

    if not file.is_file():
        raise DataError(f"{file} is not there: give a mesh file")
    try:
        loaded = trimesh.load(file, process=False, force="mesh")
        return Mesh(np.asarray(loaded.vertices, dtype), np.asarray(loaded.faces, np.int32))
    except Exception as error:  # trimesh raises what its many parsers raise
        raise DataError(f"{file} cannot be read as a mesh ({error}); export it as PLY or OBJ") from error
