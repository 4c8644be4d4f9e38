"""The face that speaks: a subject's template out of the training data, or a mesh of the user's that is held against
what the network was trained on before anything is computed on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.mesh import Mesh, read_mesh
from faces.region_registry import topology_of
from faces.region_table import topologies
from faces.vertex_order import Order, VertexOrder, size_of
from stages.kinds.checkpoint import Checkpoint, check_alike
from stages.kinds.sequences import Sequences

MOST_TIMES = 2.5
"""As large, or as small, as the data's faces a mesh may be: beyond that its unit is another."""
METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001}
HEAD = 0.17
"""`size_of` a head with its neck, in metres."""
UP = "y"
"""Where no data say it: so stand the heads of all released networks."""


@dataclass(frozen=True)
class Face:
    """template: (V, 3) float32. faces: (F, 3) triangles. regions: name → indices. up: as in `Info`."""

    template: NDArray[np.float32]
    faces: NDArray[np.int32]
    up: str = UP
    regions: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)


def of_subject(data: Sequences, subject: str, checkpoint: Checkpoint) -> Face:
    """A subject of the data. DataError where it has none of that name, or the network is not of such data."""
    check_alike(checkpoint, data)
    return _with(data, data.template_for(subject, "the voice"), data.faces)


def of_mesh(file: Path, checkpoint: Checkpoint, data: Sequences | None) -> Face:
    """A mesh of the user's. DataError where it is not of the topology that the network was trained on."""
    mesh, wanted = read_mesh(file), checkpoint.facts.vertices
    if len(mesh.vertices) != wanted:
        raise DataError(
            f"{file} has {len(mesh.vertices):,} vertices and the network was trained on faces of {wanted:,}: give a "
            f"neutral face of that topology ({_called(checkpoint)})"
        )
    if not np.isfinite(mesh.vertices).all():
        raise DataError(f"{file} holds NaN or infinite vertices: export the mesh again")
    if data is None:
        return _alone(file, mesh, checkpoint)
    check_alike(checkpoint, data)
    known = data.templates[min(data.templates)]
    check_order(file, mesh.vertices, known, data.faces, f"the faces of {data.info.dataset}", data.units)
    return _with(data, mesh.vertices, data.faces)


def _alone(file: Path, mesh: Mesh, checkpoint: Checkpoint) -> Face:
    """With nothing to be held against but the table of known topologies."""
    if not len(mesh.faces):
        raise DataError(f"{file} has no triangles, so that there is no surface: give a mesh of vertices and triangles")
    known = [
        one.name for one in topologies().values() if (one.vertices, one.faces) == (len(mesh.vertices), len(mesh.faces))
    ]
    if known and topology_of(len(mesh.vertices), mesh.faces) is None:
        raise DataError(
            f"{file} has as many vertices and triangles as {' and '.join(known)}, and its triangles join others: its "
            "vertices stand in another order; export it with the vertex order kept"
        )
    metres = METRES.get(checkpoint.config.units)
    if known and metres and not HEAD / MOST_TIMES < metres * size_of(mesh.vertices) < HEAD * MOST_TIMES:
        raise DataError(
            f"{file} is {metres * size_of(mesh.vertices) / HEAD:.3g} times as large as a head: "
            f"{_unit(checkpoint.config.units)}"
        )
    return Face(mesh.vertices, mesh.faces)


def check_order(
    file: Path, vertices: NDArray[np.float32], known: NDArray[np.float32], faces: NDArray[np.int32], of: str, units: str
) -> None:
    """DataError where (V, 3) of a file are another surface than a known face of as many vertices, in another order, or
    in another unit. of: whose face that is, for the sentence."""
    verdict = VertexOrder(known, faces).of(vertices)
    if verdict.kind is not Order.SAME:
        what = {
            Order.SWAPPED: f"{len(verdict.vertices)} of its vertices stand at others' places",
            Order.PERMUTED: "it is such a face with its vertices in another order",
            Order.OTHER: "it is another surface, or its vertices stand in another order",
        }[verdict.kind]
        raise DataError(
            f"{file} has as many vertices as {of}, and {what}: export it with the vertex "
            "order kept, and nothing merged or sorted"
        )
    times = size_of(vertices) / size_of(known)
    if not 1 / MOST_TIMES < times < MOST_TIMES:
        raise DataError(f"{file} is {times:.3g} times as large as {of}: {_unit(units)}")


def _unit(units: str) -> str:
    return f"give it in {units}" if units in ("m", "cm", "mm") else f"scale it to theirs (1 is {units})"


def _called(checkpoint: Checkpoint) -> str:
    dataset = checkpoint.config.dataset
    return f"that of {dataset}" if dataset else "that of its training data"


def _with(data: Sequences, template: NDArray[np.float32], faces: NDArray[np.int32]) -> Face:
    found = {name: data.region(name) for name in data.region_names}
    regions = {name: indices for name, indices in found.items() if indices is not None}
    return Face(np.ascontiguousarray(template, np.float32), faces, data.info.up, regions)
