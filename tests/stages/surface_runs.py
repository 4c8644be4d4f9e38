"""Small artifacts of the kind `surfaces` whose meshes are spheres, so that distances are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from faces.ply import write_ply
from stages.kinds.predictions import Item, prediction_name
from stages.kinds.sequences import Sequences
from stages.kinds.surfaces import MESHES, Info, Made, mesh_file, write_index, write_made
from tests.faces.shapes import sphere


def make_surfaces(
    folder: Path, data: Path, *, larger: dict[int | None, float] | None = None, frames: int = 4, units: str = "m"
) -> Path:
    """Of the test sentences: every frame the true mesh, made larger by so many parts, in another topology each frame.

    larger: seed → how much larger its sample is; of None, no seed.
    """
    there, items, made = Sequences(data), {}, {}
    for seed, grown in (larger or {None: 0.0}).items():
        for name in there.ids("test"):
            subject = there.entry(name).subject
            key = prediction_name(name, subject, seed)
            items[key] = Item(name, subject, subject, "test", frames, seed)
            (folder / MESHES / key).mkdir(parents=True)
            counts = []
            for number in range(frames):
                mesh = sphere(8 + number % 2)
                vertices = mesh.vertices * np.float32((1 + grown) * (1 + 0.1 * "ABC".index(subject)))
                write_ply(mesh_file(folder, key, number), vertices.astype(np.float32), mesh.faces)
                counts.append(len(mesh.vertices))
            made[key] = Made(counts, 100, 1000, 1, 0, [0.0, 2.0, 1.0, -1.0][:frames])
            write_made(folder, key, made[key])
    write_index(folder, Info(there.fps, units, "y", "eggs", "balls", "free", {}, {}, items, made, styles=False))
    return folder
