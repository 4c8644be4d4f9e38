"""How near two surfaces are, whatever their topologies: measures between points drawn evenly from both meshes.

Completeness asks how much of the truth was made: distances of its points to the nearest of the made. Accuracy asks
whether what was made is true: the other way round. As in NPHM's evaluation:

    Chamfer-L1 = (mean completeness + mean accuracy) / 2        Chamfer-L2: the same of squared distances
    normal consistency = the mean |n · n'| of nearest points, averaged over both ways
    F(t) = 2 P R / (P + R),  P the share of accuracy below t, R that of completeness

Equal meshes are not 0 apart, but about half the distance between neighbouring points: the more are drawn, the less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.normals import face_normals
from faces.ply import Mesh

Array = NDArray[np.float64]

SAMPLES = 100_000
THRESHOLDS = (1.0, 5.0)
"""Of the F-score, in mm."""


@dataclass(frozen=True)
class Apart:
    """How far two meshes are apart. Lengths are in mm where `unit` was one's millimetres, chamfer_l2 in mm².

    completeness, accuracy: means of distances. fscore: threshold → F.
    """

    completeness: float
    accuracy: float
    chamfer_l1: float
    chamfer_l2: float
    normal_consistency: float
    fscore: Mapping[float, float]


def compare(
    truth: Mesh,
    made: Mesh,
    *,
    unit: float = 1.0,
    samples: int = SAMPLES,
    seed: int = 0,
    thresholds: Sequence[float] = THRESHOLDS,
) -> Apart:
    """Measures between two meshes.

    unit: millimetres of one unit of the meshes: of NPHM's units 1 / s, s the scale that its scans were brought in by.
    samples: points drawn from each mesh, from one seed. DataError for a mesh that has no area or is not finite.
    """
    from scipy.spatial import cKDTree  # slow to import, and of no use to who only plans

    if not (unit > 0 and np.isfinite(unit)):
        raise DataError(f"one unit of the meshes is {unit} mm; it must be a number above 0")
    true, true_normals = drawn(truth, samples, np.random.default_rng([seed, 0]), "the true mesh")
    ours, our_normals = drawn(made, samples, np.random.default_rng([seed, 1]), "the made mesh")
    completeness, to_ours = cKDTree(ours).query(true)
    accuracy, to_true = cKDTree(true).query(ours)
    completeness, accuracy = completeness * unit, accuracy * unit
    agree = [
        np.abs(np.einsum("ni,ni->n", true_normals, our_normals[to_ours])).mean(),
        np.abs(np.einsum("ni,ni->n", our_normals, true_normals[to_true])).mean(),
    ]
    return Apart(
        completeness=float(completeness.mean()),
        accuracy=float(accuracy.mean()),
        chamfer_l1=float((completeness.mean() + accuracy.mean()) / 2),
        chamfer_l2=float((np.square(completeness).mean() + np.square(accuracy).mean()) / 2),
        normal_consistency=float(np.mean(agree)),
        fscore={limit: _fscore(accuracy, completeness, limit) for limit in thresholds},
    )


def vertex_chamfer(a: Mesh, b: Mesh) -> float:
    """Chamfer-L1 between the vertices of two meshes: 0 for equal ones, where drawn points have a floor.

    For surfaces cut by one grid, whose vertices answer each other. In the meshes' own unit. DataError as `compare`'s.
    """
    from scipy.spatial import cKDTree

    _check(a, "the first mesh")
    _check(b, "the second mesh")
    ways = (a.vertices, b.vertices), (b.vertices, a.vertices)
    return float(np.mean([cKDTree(there).query(here)[0].mean() for here, there in ways]))


def drawn(mesh: Mesh, count: int, rng: np.random.Generator, name: str = "the mesh") -> tuple[Array, Array]:
    """Points (N, 3) drawn evenly over a mesh's area, and the unit normals (N, 3) of their triangles.

    name: what to call the mesh in a DataError.
    """
    if count < 1:
        raise DataError(f"{count} points are to be drawn from {name}; it must be at least 1")
    _check(mesh, name)
    vertices = mesh.vertices.astype(np.float64)
    normals = face_normals(vertices, mesh.faces)
    doubled = np.linalg.norm(normals, axis=1)
    if not doubled.sum() > 0:
        raise DataError(f"{name} has no area: all its {len(mesh.faces)} triangles are lines or points")
    which = rng.choice(len(doubled), size=count, p=doubled / doubled.sum())
    along, across = rng.random((2, count, 1))
    beyond = along + across > 1  # fold the far half of the parallelogram back
    along, across = np.where(beyond, 1 - along, along), np.where(beyond, 1 - across, across)
    first, second, third = (vertices[mesh.faces[which, k]] for k in range(3))
    points = first + along * (second - first) + across * (third - first)
    return points, normals[which] / doubled[which, None]


def _check(mesh: Mesh, name: str) -> None:
    vertices, faces = mesh.vertices, mesh.faces
    if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise DataError(
            f"{name} must have (V, 3) vertices and (F, 3) triangles, not {vertices.shape} and {faces.shape}"
        )
    if not len(faces):
        raise DataError(f"{name} has no triangles; a point cloud cannot be compared as a surface")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise DataError(f"the triangles of {name} name vertices that it does not have: it has {len(vertices)}")
    bad = ~np.isfinite(vertices).all(axis=1)
    if bad.any():
        raise DataError(f"{np.count_nonzero(bad)} of {len(bad)} vertices of {name} are NaN or infinite")


def _fscore(accuracy: Array, completeness: Array, limit: float) -> float:
    precision, recall = (float((distances < limit).mean()) for distances in (accuracy, completeness))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
