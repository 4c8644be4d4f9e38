"""From Multiface's 7,306 vertices to MeshTalk's 6,172, and from millimetres to the published box and back.

Which 1,134 vertices go is a list of MeshTalk's that is not ours to pass on: the user brings it, and both its length and
its effect are looked at, since a list that is one off leaves as many vertices in a wrong order.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.obj import read_obj
from faces.ply import Mesh
from faces.regions import read_region
from stages.preprocess.multiface.layout import REMOVED

TRACKED, REMOVED_COUNT = 7306, 1134
VERTICES = TRACKED - REMOVED_COUNT

LOW = np.array([-117.798, -213.735, -177.091])
HIGH = np.array([125.922, 185.79601, 75.365097])
"""Millimetres; FaceDiffuser's limits of each axis."""
LARGEST_BOX = 4.0
"""What is smaller than this from side to side is in the box, which is 2 wide; a head is 200 mm."""
ALIKE = 3.0
"""Edges of two heads of one topology have lengths within this factor, after all are brought to one size."""
ENOUGH = 0.9


def to_box(vertices: NDArray[np.floating]) -> NDArray[np.float32]:
    """Millimetres → -1 to 1 on each axis by itself."""
    return (2 * (vertices - LOW) / (HIGH - LOW) - 1).astype(np.float32)


def to_mm(boxed: NDArray[np.floating]) -> NDArray[np.float32]:
    """The inverse of `to_box`."""
    return ((boxed.astype(np.float64) + 1) / 2 * (HIGH - LOW) + LOW).astype(np.float32)


def is_boxed(vertices: NDArray[np.floating]) -> bool:
    return float(np.ptp(vertices.reshape(-1, 3), axis=0).max()) < LARGEST_BOX


def read_topology(file: Path) -> Mesh:
    """MeshTalk's mesh, of which the triangles are used. DataError where it is another."""
    mesh = read_obj(file)
    if len(mesh.vertices) != VERTICES or not len(mesh.faces):
        raise DataError(
            f"{file} has {len(mesh.vertices):,} vertices and {len(mesh.faces):,} triangles; MeshTalk's "
            f"face_template.obj has {VERTICES:,} vertices"
        )
    return mesh


def read_kept(file: Path) -> NDArray[np.int64]:
    """(6172,) which vertices stay, by the list of those that go. DataError for a list of another length."""
    gone = np.unique(read_region(file, TRACKED))
    if len(gone) != REMOVED_COUNT:
        raise DataError(f"{file} names {len(gone):,} different vertices, not {REMOVED_COUNT:,}; it must be {REMOVED}")
    return np.setdiff1d(np.arange(TRACKED), gone)


def check_effect(file: Path, kept: NDArray[np.floating], model: Mesh) -> None:
    """DataError, about the list in `file`, unless the vertices (6172, 3) that it leaves are in the model's order.

    Neighbours must be neighbours: the edges of the model's triangles are about as long on both heads.
    """
    corners = np.concatenate([model.faces[:, [0, 1]], model.faces[:, [1, 2]], model.faces[:, [2, 0]]])
    here, there = (np.linalg.norm(v[corners[:, 0]] - v[corners[:, 1]], axis=1) for v in (kept, model.vertices))
    ratio = here[there > 0] / there[there > 0]
    ratio = ratio / max(float(np.median(ratio)), 1e-12)
    fit = float(np.mean((ratio > 1 / ALIKE) & (ratio < ALIKE)))
    if fit < ENOUGH:
        raise DataError(
            f"{file} leaves vertices that do not fit the triangles of face_template.obj: {1 - fit:.0%} of the edges "
            "have another length; it is another list, or counts from 1"
        )


def read_frame(file: Path) -> NDArray[np.float32]:
    """(7306, 3) millimetres of one .bin file. DataError where its size is another."""
    try:
        size = file.stat().st_size
        points = np.fromfile(file, "<f4", TRACKED * 3)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from error
    if size != TRACKED * 12 or points.size != TRACKED * 3:
        raise DataError(f"{file} has {size:,} bytes, not the {TRACKED * 12:,} of a tracked mesh")
    return points.astype(np.float32).reshape(TRACKED, 3)
