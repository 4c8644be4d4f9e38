"""What `pipe regions show` shows: a mesh, and the regions that lie on it, from wherever the user has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faces.errors import DataError
from faces.mesh import read_mesh
from faces.ply import Mesh
from faces.region_registry import topology_of
from faces.region_table import Topology, files_in, topologies
from faces.regions import Regions, read_regions
from pipeline.errors import RecipeError
from pipeline.registry import nearest
from stages.kinds.sequences import INDEX, TOPOLOGY, Sequences

SYNTHETIC = {"synthetic": 5023, "synthetic-biwi": 23370}
"""Topologies of this project's own → vertices. They need no file."""


@dataclass(frozen=True)
class Subject:
    """A mesh with its regions. up: its axis that points up. topology: by the table, None for one that is not there."""

    name: str
    mesh: Mesh
    regions: Regions
    up: str = "y"

    @property
    def topology(self) -> Topology | None:
        return topology_of(len(self.mesh.vertices), self.mesh.faces)


def find(word: str, mesh: Path | None, given: Iterable[Path], artifact: Callable[[str], Path]) -> Subject:
    """The mesh that a word means: a topology's name, a mesh file, a folder or an artifact of the kind sequences.

    mesh: the file of a topology that is named. given: files and folders of regions, which win over the subject's own.
    artifact: a name in the store → its folder. RecipeError where the word means nothing, DataError for bad files.
    """
    found = _named(word, mesh) or _in_folder(Path(word)) or _of_file(Path(word)) or _in_folder(artifact(word))
    if found is None:
        raise RecipeError(f"{word} is no artifact of the kind sequences; name one that preprocess made, or a mesh file")
    if mesh is not None and word not in topologies():
        raise RecipeError(f"--mesh is for the names {', '.join(topologies())}; {word} has a mesh of its own")
    regions = found.regions | _read(given, len(found.mesh.vertices))
    if not regions:
        raise RecipeError(f"there are no regions for {word}; give files or folders of them with --regions")
    return Subject(found.name, found.mesh, regions, found.up)


def _named(word: str, mesh: Path | None) -> Subject | None:
    if word in SYNTHETIC:
        from stages.preprocess.synthetic.head import neutral_head

        head = neutral_head(SYNTHETIC[word])
        return Subject(word, Mesh(head.points.astype(np.float32), head.faces.astype(np.int32)), dict(head.regions))
    if word not in topologies():
        return None
    known = topologies()[word]
    if mesh is None:
        raise RecipeError(
            f"the mesh of {word} is its owners': give your copy with --mesh FILE ({', or '.join(known.meshes)})"
        )
    read = read_mesh(mesh)
    if topology_of(len(read.vertices), read.faces) != known:
        raise DataError(
            f"{mesh} is no mesh of {word}: it has {len(read.vertices):,} vertices and {len(read.faces):,} triangles, "
            f"{word} {known.vertices:,} and {known.faces:,} of its own; to see it as it is: pipe regions show {mesh}"
        )
    return Subject(word, read, {})


def _in_folder(folder: Path) -> Subject | None:
    """Sequences; None for anything else."""
    if not (folder / INDEX).is_file():
        return None
    data = Sequences(folder)
    regions = {name: indices for name in data.region_names if (indices := data.region(name)) is not None}
    return Subject(folder.resolve().name, read_mesh(folder / TOPOLOGY), regions, data.info.up)


def _of_file(file: Path) -> Subject | None:
    """A mesh file. RecipeError for what only looks like one."""
    if file.is_file():
        return Subject(file.stem, read_mesh(file), {})
    if file.is_dir():
        raise RecipeError(f"{file} holds no {INDEX}: it is no folder of sequences; name a mesh file, or such a folder")
    if file.suffix.lower() in (".ply", ".obj"):
        raise RecipeError(f"there is no mesh file {file}")
    return None


def _read(given: Iterable[Path], vertices: int) -> Regions:
    """Of all files and folders; what comes later wins."""
    found: Regions = {}
    for path in given:
        files = files_in(path) if path.is_dir() else [path]
        if not files:
            raise DataError(f"the folder {path} holds no files of regions; put <region>.txt there")
        for file in files:
            found |= read_regions(file, vertices)
    return found


def topology_names(word: str) -> str:
    """What a word may have been meant for."""
    names = [*topologies(), *SYNTHETIC]
    return f"topologies are {', '.join(names)}.{nearest(word, names)}"
