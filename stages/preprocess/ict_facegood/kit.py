"""ICT-FaceKit's files → one head: triangles, neutral form, displacements of shapes and of identity modes, in metres.

The kit tells its parts apart by their materials. Quads are cut into triangles; vertices that no kept triangle uses are
dropped and the others keep their order. A file that is damaged, or of another topology, is a `DataError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError, said
from faces.obj import read_obj, read_positions
from faces.texts import read_json, read_text
from stages.preprocess.ict_facegood.layout import Layout

CENTIMETRE = 0.01
FACE, BACK = "M_Face", "M_BackHead"
"""The full face area; back of the head and neck, with the sockets of mouth and eyes."""
SHADING = ("M_LacrimalFluid", "M_EyeBlend", "M_EyeOcclusion", "M_EyeLashes")
"""Films and strips before the eyes, for a shader that lets light through; drawn as skin they would hide the eyes."""
LANDMARKS = 68


@dataclass(frozen=True)
class Kit:
    """A head: of the kit's mesh, what is kept.

    kept: (V,) rows of the kit's vertices. whole: how many vertices the kit has. neutral: (V, 3) metres. faces: (F, 3).
    materials: (F,) of each triangle. landmarks: (68,) Multi-PIE's, by the kit's own list. fitting: the kit's list of
    vertices to fit. expressions: the names of the kit's shapes in its order.
    """

    kept: NDArray[np.int64]
    whole: int
    neutral: NDArray[np.float64]
    faces: NDArray[np.int32]
    materials: NDArray[np.str_]
    landmarks: NDArray[np.int64]
    fitting: NDArray[np.int64]
    expressions: Sequence[str]

    def part(self, *materials: str) -> NDArray[np.int64]:
        """Sorted vertices of the triangles of some materials."""
        return np.unique(self.faces[np.isin(self.materials, materials)]).astype(np.int64)

    def displacements(self, files: Iterable[Path]) -> NDArray[np.float64]:
        """(N, V, 3) metres: how far each file's mesh is from the neutral one."""
        return np.array([self._positions(file) - self.neutral for file in files]).reshape(-1, *self.neutral.shape)

    def _positions(self, file: Path) -> NDArray[np.float64]:
        positions = read_positions(file)
        if len(positions) != self.whole:
            raise DataError(
                f"{file} has {len(positions):,} vertices, but the kit's neutral head has {self.whole:,}; clone it again"
            )
        if not np.isfinite(positions).all():
            raise DataError(f"{file} holds NaN or infinity; clone the kit again")
        return positions[self.kept].astype(np.float64) * CENTIMETRE


def read_kit(layout: Layout, head: str) -> Kit:
    """Read mesh and indices. head: "face" keeps the full face area, "whole" all that is not for shading alone."""
    mesh = read_obj(layout.neutral)
    materials = _materials(layout.neutral)
    if len(materials) != len(mesh.faces):
        raise DataError(f"{layout.neutral} has polygons before the first usemtl; clone the kit again")
    wanted = materials == FACE if head == "face" else ~np.isin(materials, SHADING)
    if not wanted.any():
        raise DataError(f"{layout.neutral} has no polygons of the material {FACE}; it is not ICT-FaceKit's head")
    kept, faces = np.unique(mesh.faces[wanted], return_inverse=True)
    indices = _Indices.read(layout.indices, {int(row): new for new, row in enumerate(kept)})
    return Kit(
        kept.astype(np.int64),
        len(mesh.vertices),
        mesh.vertices[kept].astype(np.float64) * CENTIMETRE,
        faces.reshape(-1, 3).astype(np.int32),
        materials[wanted],
        indices.landmarks(),
        indices.some("idx_to_fitting_verts"),
        indices.names("expressions"),
    )


def _materials(file: Path) -> NDArray[np.str_]:
    """The material of each triangle, polygons cut as `read_obj` cuts them."""
    current, found = "", list[str]()
    for line in read_text(file, encoding="latin1").splitlines():
        if line.startswith("usemtl "):
            current = line[7:].strip()
        elif line.startswith("f ") and current:
            found += [current] * (len(line.split()) - 3)
    return np.array(found, dtype=str)


@dataclass(frozen=True)
class _Indices:
    """vertex_indices.json. rows: the kit's vertex → the head's."""

    file: Path
    table: Mapping[str, Any]
    rows: Mapping[int, int]

    @classmethod
    def read(cls, file: Path, rows: Mapping[int, int]) -> _Indices:
        try:
            table = read_json(file)
        except OSError as error:
            raise DataError(f"{file} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise DataError(f"{file} is not JSON ({said(error)}); clone the kit again") from error
        if not isinstance(table, dict):
            raise DataError(f"{file} is no table of vertex indices; clone the kit again")
        return cls(file, table, rows)

    def names(self, key: str) -> list[str]:
        found = self.table.get(key)
        if not isinstance(found, list) or not found or not all(isinstance(name, str) for name in found):
            raise DataError(f"{self.file} has no list of names {key!r}; clone the kit again")
        return found

    def some(self, key: str) -> NDArray[np.int64]:
        """Those of a list that the head has."""
        return np.array([self.rows[row] for row in self._rows(key) if row in self.rows], np.int64)

    def landmarks(self) -> NDArray[np.int64]:
        rows = self._rows("idx_to_landmark_verts")
        if len(rows) != LANDMARKS or not all(row in self.rows for row in rows):
            raise DataError(f"{self.file} does not name {LANDMARKS} landmarks on the face; clone the kit again")
        return np.array([self.rows[row] for row in rows], np.int64)

    def _rows(self, key: str) -> list[int]:
        found = self.table.get(key)
        if not isinstance(found, list) or not all(isinstance(row, int) for row in found):
            raise DataError(f"{self.file} has no list of vertices {key!r}; clone the kit again")
        return found
