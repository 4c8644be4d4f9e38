"""The neutral faces and the triangles of one's own data: from files where there are any, else from the motion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faces.arrays import read_npz
from faces.blendshapes import NEUTRAL, Basis, plain_name
from faces.errors import DataError
from faces.mesh import Mesh, read_mesh
from stages.preprocess.own.description import Description
from stages.preprocess.own.layout import MESHES, Layout, Name
from stages.preprocess.own.motion import Frames, Morphs, Motion
from stages.preprocess.vertex_file import VertexFile

Array = NDArray[np.float32]
Opener = Callable[[Name], Motion]

FROM_FILES, FROM_BASIS, FROM_MOTION = "files", "shapes", "motion"
MOST_FRAMES = 64
"""First frames of one subject that are compared with each other, by their median: a damaged one moves it little."""


@dataclass(frozen=True)
class Heads:
    """templates: subject → (V, 3), as stored. model: the mesh that has the triangles. origin: "files", "shapes" (all
    weights 0), or "motion". where: subject → what to call its template in a sentence.
    """

    templates: Mapping[str, Array]
    model: Mesh
    origin: str
    where: Mapping[str, str]


def read_heads(description: Description, layout: Layout, opener: Opener, basis: Callable[[], Basis]) -> Heads:
    """Read or find all of it. DataError where there are no triangles, or the sizes do not fit."""
    subjects = sorted({subject for subject, _ in layout.motion})
    files = description.files
    found, where, origin = dict[str, Array](), dict[str, str](), FROM_FILES
    model: Mesh | None = None
    if files.templates:
        found, where, model = _from_files(files.templates, subjects)
    missing = [subject for subject in subjects if subject not in found]
    if missing:
        made, origin = _from_motion(layout, missing, opener, basis if files.form == "csv" else None)
        found |= {subject: vertices for subject, (vertices, _) in made.items()}
        where |= {subject: place for subject, (_, place) in made.items()}
    if files.topology:
        model = _read_topology(files.topology)
    model = model or _shown(description, layout, opener, basis)
    heads = Heads({subject: found[subject] for subject in subjects}, model, origin, where)
    _check(heads, files.topology)
    return heads


def _from_files(path: Path, subjects: Iterable[str]) -> tuple[dict[str, Array], dict[str, str], Mesh | None]:
    """Of a folder: <subject>.obj, .ply or .npy, or one neutral mesh. Of a file: npz by subject, or one mesh for all."""
    if not path.exists():
        raise DataError(f"{path} is missing; the templates must be there, or take the line out of dataset.toml")
    if path.is_file() and path.suffix.lower() == ".npz":
        table = {name: _as_template(f"{path}, {name}", array) for name, array in read_npz(path).items()}
        return table, {name: f"{path}, {name}" for name in table}, None
    files = [path] if path.is_file() else sorted(f for f in path.iterdir() if f.suffix.lower() in (*MESHES, ".npy"))
    own = {file.stem: file for file in files}
    common = path if path.is_file() else next((f for f in files if plain_name(f.stem) in NEUTRAL), None)
    chosen = {subject: file for subject in subjects if (file := own.get(subject, common)) is not None}
    read = {file: _read_template(file) for file in dict.fromkeys(chosen.values())}
    model = next((mesh for mesh in read.values() if len(mesh.faces)), None)
    return {s: read[f].vertices for s, f in chosen.items()}, {s: str(f) for s, f in chosen.items()}, model


def _read_template(file: Path) -> Mesh:
    if file.suffix.lower() == ".npy":
        rows = VertexFile.open(file, flat=True, single=True)
        return Mesh(rows.gather(np.arange(1))[0], np.zeros((0, 3), np.int32))
    return read_mesh(file)


def _as_template(where: str, array: NDArray[Any]) -> Array:
    if array.dtype.kind != "f" or not array.size or array.size % 3 or (array.ndim != 1 and array.shape[-1] != 3):
        raise DataError(f"{where}, is {array.dtype} {array.shape}, not (vertices, 3) of positions; make it so")
    return np.asarray(array, np.float32).reshape(-1, 3)


def _from_motion(
    layout: Layout, subjects: Iterable[str], opener: Opener, basis: Callable[[], Basis] | None
) -> tuple[dict[str, tuple[Array, str]], str]:
    if basis is not None:
        return {subject: (basis().neutral, "the basis") for subject in subjects}, FROM_BASIS
    made, origin = dict[str, tuple[Array, str]](), FROM_MOTION
    for subject in subjects:
        opened = list(_readable(sorted(name for name in layout.motion if name[0] == subject)[:MOST_FRAMES], opener))
        morphs = next((motion for motion in opened if isinstance(motion, Morphs)), None)
        if morphs:
            made[subject], origin = (morphs.face.neutral, f"{morphs.path}, all weights 0"), FROM_BASIS
        else:
            made[subject] = _restful(subject, opened)
    return made, origin


def _readable(names: Iterable[Name], opener: Opener) -> Iterator[Motion]:
    """Those that can be opened: what is wrong with the others is told when it is their turn."""
    for name in names:
        try:
            yield opener(name)
        except DataError:
            continue


def _restful(subject: str, opened: Iterable[Motion]) -> tuple[Array, str]:
    """Of the first frames of a subject's sequences the one nearest to their median: people begin at rest."""
    firsts = list[tuple[Array, str]]()
    for motion in opened:
        try:
            if motion.frames:
                firsts.append((motion.read([0])[0], motion.place(0)))
        except DataError:
            continue
    usual = Counter(len(frame) for frame, _ in firsts).most_common(1)
    firsts = [(frame, place) for frame, place in firsts if len(frame) == usual[0][0] and np.isfinite(frame).all()]
    if not firsts:
        raise DataError(f"the sequences of {subject} have no first frame to take as a neutral face; give templates")
    middle = np.median([frame for frame, _ in firsts], axis=0)
    away = [float(np.abs(frame - middle).sum()) for frame, _ in firsts]
    return firsts[int(np.argmin(away))]


def _shown(description: Description, layout: Layout, opener: Opener, basis: Callable[[], Basis]) -> Mesh:
    """What the basis, or the first sequence that can be opened, has of triangles."""
    if description.files.form == "csv" and len(basis().faces):
        return Mesh(basis().neutral, basis().faces)
    for motion in _readable(sorted(layout.motion), opener):
        if isinstance(motion, Morphs):
            return Mesh(motion.face.neutral, motion.face.faces)
        if isinstance(motion, Frames) and len((mesh := motion.mesh()).faces):
            return mesh
        break
    raise DataError(
        f"{description.folder} holds no mesh with triangles; put one with the vertices in the data's order there and "
        'name it in dataset.toml: topology = "topology.ply"'
    )


def _read_topology(file: Path) -> Mesh:
    mesh = read_mesh(file)
    if not len(mesh.faces):
        raise DataError(f"{file} has no triangles; export it with its faces")
    return mesh


def _check(heads: Heads, topology: Path | None) -> None:
    count = len(heads.model.vertices)
    for subject, vertices in heads.templates.items():
        where = heads.where[subject]
        if len(vertices) != count:
            other = topology or "the mesh with the triangles"
            raise DataError(
                f"{where} has {len(vertices):,} vertices, and {other} has {count:,}; all must be of one topology"
            )
        if not np.isfinite(vertices).all():
            raise DataError(f"{where}: the neutral face holds NaN or infinity; give another template")
