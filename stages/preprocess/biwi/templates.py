"""The subjects' neutral faces and their triangles: a mesh for each, or one file of ready arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faces.arrays import read_npz
from faces.errors import DataError
from faces.mesh import Mesh, read_mesh
from faces.obj import read_obj
from faces.safe_pickle import load_pickle
from stages.kinds.sequences import check_name
from stages.preprocess.biwi.layout import TOPOLOGY, Layout


@dataclass(frozen=True)
class Templates:
    """vertices: subject → (V, 3), as stored. faces: (F, 3), the same for all. ready: arrays that somebody has made.

    where: subject → what to call its template in a sentence.
    """

    vertices: dict[str, NDArray[np.floating]]
    faces: NDArray[np.int32]
    ready: bool
    where: dict[str, str]


def read_templates(layout: Layout) -> Templates:
    """Read all templates. DataError where they are damaged, or not of one topology."""
    if layout.scans:
        return _read_scans(layout)
    if not layout.templates.exists():
        raise DataError(f"{layout.templates} is missing; put the templates there, one <subject>.obj each")
    if layout.templates.is_dir():
        raise DataError(f"{layout.templates} holds no mesh that is called after a subject; it must be <subject>.obj")
    table = _read_table(layout.templates)
    mesh = _read_topology(layout)
    for subject, vertices in table.items():
        _check_vertices(f"{layout.templates}, {subject}", vertices, len(mesh.vertices), layout.topology or Path())
    return Templates(table, mesh.faces, True, {subject: f"{layout.templates}, {subject}" for subject in table})


def _read_scans(layout: Layout) -> Templates:
    """Of the meshes the first, or the topology where one is named, says what all must be like."""
    meshes = {subject: _read_triangles(file) for subject, file in layout.scans.items()}
    first = min(meshes)
    model, named = (meshes[first], layout.scans[first])
    if layout.topology:
        model, named = _read_topology(layout), layout.topology
    for subject, mesh in meshes.items():
        file = layout.scans[subject]
        _check_vertices(str(file), mesh.vertices, len(model.vertices), named)
        if not np.array_equal(mesh.faces, model.faces):
            raise DataError(
                f"{file} has other triangles than {named}; all templates must be of one topology, and a subject of "
                "another one is left out with skip"
            )
    vertices: dict[str, NDArray[np.floating]] = {subject: mesh.vertices for subject, mesh in meshes.items()}
    return Templates(vertices, model.faces, False, {subject: str(file) for subject, file in layout.scans.items()})


def _read_triangles(file: Path) -> Mesh:
    mesh = read_obj(file, polygons=False, dtype=np.float64) if file.suffix.lower() == ".obj" else read_mesh(file)
    if not len(mesh.faces):
        raise DataError(f"{file} has no triangles; export it with its faces")
    return mesh


def _read_topology(layout: Layout) -> Mesh:
    file = layout.topology or layout.templates.parent / TOPOLOGY
    if not file.exists():
        raise DataError(f"{file} is missing; put a mesh with the data's triangles there, or name one with topology")
    return _read_triangles(file)


def _check_vertices(where: str, vertices: NDArray[np.floating], count: int, named: Path) -> None:
    if len(vertices) != count:
        raise DataError(
            f"{where} has {len(vertices):,} vertices, but {named} has {count:,}; all templates must be of one "
            "topology, and a subject of another one is left out with skip"
        )
    if not np.isfinite(vertices).all():
        raise DataError(f"{where}: the template holds NaN or infinity; take another copy of it")


def _read_table(file: Path) -> dict[str, NDArray[np.floating]]:
    table = read_npz(file) if file.suffix.lower() == ".npz" else load_pickle(file)
    if not isinstance(table, dict) or not table:
        raise DataError(f"{file} must hold a dictionary of subject → template; it is another file")
    names = {check_name(str(subject), str(file)): template for subject, template in table.items()}
    return {subject: _as_vertices(f"{file}, {subject}", names[subject]) for subject in sorted(names)}


def _as_vertices(where: str, template: Any) -> NDArray[np.floating]:
    """(V, 3), or the same flattened."""
    array = np.asarray(template)
    if array.dtype.kind != "f" or not array.size or array.size % 3 or (array.ndim != 1 and array.shape[-1] != 3):
        raise DataError(f"{where}: the template is {array.dtype} {array.shape}, not (vertices, 3) of positions")
    return array.reshape(-1, 3)
