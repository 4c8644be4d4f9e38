"""How a fit is, as a picture: fitted frames beside the surfaces that the model makes of their codes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from faces.camera import Camera, fit
from faces.implicit.settings import Extraction
from faces.implicit.surface import extract
from faces.ply import Mesh
from faces.raster.look import Look
from faces.renderer import SoftRenderer
from models.nphm.head import HeadModel
from stages.headfit.lectures import Pose
from stages.render.stills import write_png

if TYPE_CHECKING:
    from stages.headfit.fit import School
    from stages.kinds.sequences import Sequences

COMPARISON = "comparison.png"
COLUMNS, SIZE, RESOLUTION = 5, 320, 96
MARGIN = 0.05
"""Of the box around a head, in NPHM's units."""


def draw(folder: Path, data: Sequences, school: School, poses: Sequence[Pose], subjects: int) -> Path:
    """Write the picture: above the meshes, below the model's surfaces; a face at rest, and frames far from rest."""
    chosen = [0, *_widest(poses, subjects, COLUMNS - 1)]
    rows: list[list[NDArray[np.uint8]]] = [[], []]
    for number in chosen:
        pose = poses[number]
        face = _face(pose.vertices)
        camera = fit(face, SIZE)
        with torch.no_grad():
            row = torch.tensor([number], device=school.heads.device)
            surface = surface_of(
                school.model, school.identities[school.heads[row]], school.codes(row), face, RESOLUTION
            )
        rows[0].append(_shown(Mesh(pose.vertices.astype(np.float32), data.faces), camera))
        rows[1].append(_shown(surface, camera))
    return write_png(folder / COMPARISON, np.concatenate([np.concatenate(row, axis=1) for row in rows]))


def surface_of(
    model: HeadModel, identity: torch.Tensor, expression: torch.Tensor, about: NDArray[np.floating], resolution: int
) -> Mesh:
    """The surface of codes (1, D) and (1, E) in a box about points (N, 3), open where the head goes on."""
    low, high = about.min(axis=0) - MARGIN, about.max(axis=0) + MARGIN

    def field(points: NDArray[np.floating]) -> NDArray[np.float32]:
        with torch.no_grad():
            given = torch.from_numpy(np.asarray(points, np.float32))[None].to(identity.device)
            values: NDArray[np.float32] = model.field(given, identity, expression)[0].cpu().numpy()
        return values

    return extract(field, Extraction(resolution, tuple(low.tolist()), tuple(high.tolist()), chunk=8000))


def _face(vertices: NDArray[np.floating]) -> NDArray[np.floating]:
    """The vertices of the half that looks ahead, without the lowest quarter, which is neck."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    return vertices[(vertices[:, 2] > (low[2] + high[2]) / 2) & (vertices[:, 1] > low[1] + 0.25 * (high[1] - low[1]))]


def _widest(poses: Sequence[Pose], subjects: int, count: int) -> list[int]:
    """Poses with long codes, of as many subjects as there are."""
    order = sorted(range(subjects, len(poses)), key=lambda number: -float(np.linalg.norm(poses[number].code)))
    by_head: dict[int, list[int]] = {}
    for number in order:
        by_head.setdefault(poses[number].head, []).append(number)
    rounds = max((len(own) for own in by_head.values()), default=0)
    return [own[turn] for turn in range(rounds) for own in by_head.values() if turn < len(own)][:count]


def _shown(mesh: Mesh, camera: Camera) -> NDArray[np.uint8]:
    return SoftRenderer(mesh.faces, camera, Look()).render(mesh.vertices)
