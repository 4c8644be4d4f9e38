"""Reading triangle meshes from Wavefront OBJ, vertex order kept.

Only positions and faces are read. General readers split vertices along texture seams (`f v/vt/vn`) and drop those of
no face; vertex i here is the i-th `v` line, whatever the faces say. Polygons are cut into fans.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.ply import Mesh


def read_obj(file: Path, *, polygons: bool = True) -> Mesh:
    """Read a mesh. DataError, with the line, for anything that is not one.

    polygons: cut faces of more than three corners into fans; otherwise they are an error, since nobody can say which
    triangles were meant.
    """
    positions = list[list[float]]()
    triangles = list[tuple[int, int, int]]()
    cut = 0
    for number, line in enumerate(_lines(file), start=1):
        try:
            match line.split():
                case ["v", *numbers]:
                    positions.append(_position(numbers))
                case ["f", *corners]:
                    if len(corners) > 3 and not polygons:
                        cut = cut or number
                    triangles += _fan([_index(corner, len(positions)) for corner in corners])
        except ValueError as error:
            raise DataError(f"{file}, line {number}, is not OBJ ({error}); export the mesh again") from error
    if cut:
        raise DataError(
            f"{file}, line {cut}, is a face of more than three corners; give the mesh with the data's own triangles"
        )
    vertices = np.array(positions, np.float32).reshape(-1, 3)
    faces = np.array(triangles, np.int32).reshape(-1, 3)
    if not len(vertices):
        raise DataError(f"{file} has no vertices; is it a mesh in OBJ format?")
    if faces.size and not 0 <= faces.min() <= faces.max() < len(vertices):
        raise DataError(f"{file} has a triangle with a corner outside its {len(vertices)} vertices; export it again")
    return Mesh(vertices, faces)


def read_positions(file: Path) -> NDArray[np.float32]:
    """(V, 3) of the `v` lines alone, much faster than the whole mesh. DataError as `read_obj` has it."""
    lines = [line[2:] for line in _lines(file) if line.startswith(("v ", "v\t"))]
    try:
        if not lines:
            raise ValueError("no vertices")
        return np.loadtxt(lines, np.float64, comments=None, usecols=(0, 1, 2), ndmin=2).astype(np.float32)
    except ValueError:
        return read_obj(file).vertices  # slower, and knows the number of the line


def _lines(file: Path) -> list[str]:
    try:
        return Path(file).read_text(encoding="latin1").splitlines()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from error


def _position(numbers: list[str]) -> list[float]:
    """x, y and z; a weight or a colour may follow."""
    if len(numbers) < 3:
        raise ValueError(f"a vertex has {len(numbers)} coordinates")
    return [float(number) for number in numbers[:3]]


def _index(corner: str, so_far: int) -> int:
    """Zero-based vertex of "v", "v/vt", "v//vn" or "v/vt/vn"; negative numbers count back from the last `v` line."""
    value = int(corner.partition("/")[0])
    if value == 0:
        raise ValueError("vertices are numbered from 1")
    return value - 1 if value > 0 else so_far + value


def _fan(corners: list[int]) -> list[tuple[int, int, int]]:
    if len(corners) < 3:
        raise ValueError(f"a face has {len(corners)} corners")
    return [(corners[0], a, b) for a, b in pairwise(corners[1:])]
