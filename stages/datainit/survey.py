"""What lies in a folder: which form the motion has, where sound, meshes and regions are. Headers are read, no more."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from faces.arrays import npz_headers
from faces.blendshapes import NEUTRAL, plain_name, read_basis, read_curves
from faces.errors import DataError
from faces.gltf import read_gltf
from faces.regions import read_region
from stages.preprocess.own.layout import MESHES, MOTION, SOUND, frame_folders, motion_candidates, walk
from stages.preprocess.vertex_file import VertexFile

MESH_NAMES = ("topology", "template", *NEUTRAL, "mean", "average", "head", "face")
"""What a mesh is called that shows the triangles of all, best names first."""
MASKS = "FLAME_masks.pkl"
FEW_VERTICES = 20


@dataclass
class Survey:
    """folder: looked into. form, motion: of what there is most. others: form → how many there are besides. odd: files
    that could not be read, with the reason. sound, meshes (single ones), arrays (of one frame), basis, regions: where.
    """

    folder: Path
    form: str = ""
    motion: list[Path] = field(default_factory=list)
    sound: list[Path] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)
    odd: dict[Path, str] = field(default_factory=dict)
    meshes: list[Path] = field(default_factory=list)
    arrays: list[Path] = field(default_factory=list)
    basis: Path | None = None
    regions: Path | None = None

    @property
    def motion_folder(self) -> Path:
        return common(self.motion, self.folder)

    @property
    def sound_folder(self) -> Path:
        return common(self.sound, self.motion_folder)


def survey(folder: Path) -> Survey:
    """Look through all of a folder. DataError where there is no motion in it."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; give the one that holds your recordings")
    found = Survey(folder, sound=list(walk(folder, SOUND)))
    by_form = {form: list(_candidates(folder, form, found)) for form in ("meshes", *MOTION)}
    by_form["npy"] = _of_one_topology(by_form["npy"], found)
    frames = {file for _, files in frame_folders(folder) if len(files) > 1 for file in files}
    found.meshes = [file for file in walk(folder, MESHES) if file not in frames]
    if by_form["csv"]:
        found.basis = _basis(by_form["csv"][0], folder, found.meshes)
        if found.basis is None:
            by_form["csv"] = []
        by_form = {form: [p for p in paths if p != found.basis] for form, paths in by_form.items()}
    found.form = max(by_form, key=lambda form: len(by_form[form]))
    found.motion = by_form.pop(found.form)
    found.others = {form: len(paths) for form, paths in by_form.items() if paths}
    if not found.motion:
        more = "".join(f"\n{path}: {reason}" for path, reason in list(found.odd.items())[:5])
        raise DataError(
            f"{folder} holds no motion; put arrays (frames, vertices, 3), a folder of OBJ or PLY for each sequence, "
            f"glTF with morph targets, or CSV of blendshape weights with their basis there{more}"
        )
    found.regions = _regions(folder)
    return found


def common(paths: Sequence[Path], default: Path) -> Path:
    """The folder that all are below."""
    return Path(os.path.commonpath([path.parent for path in paths])) if paths else default


def _candidates(folder: Path, form: str, found: Survey) -> Iterator[Path]:
    for path in motion_candidates(folder, form):
        try:
            if _is_motion(path, form):
                yield path
            elif form == "npy":
                found.arrays.append(path)
        except DataError as error:
            found.odd[path] = str(error)


def _is_motion(path: Path, form: str) -> bool:
    if form == "npy":
        return VertexFile.open(path, flat=True).vertices >= FEW_VERTICES
    if form == "npz":
        shapes = [header.shape for header in npz_headers(path).values() if header.dtype.kind == "f"]
        return any((len(s) == 3 and s[2] == 3) or (len(s) == 2 and s[1] > 3 and s[1] % 3 == 0) for s in shapes)
    if form == "gltf":
        return read_gltf(path).seconds > 0
    return form == "meshes" or bool(read_curves(path).names)


def _of_one_topology(arrays: list[Path], found: Survey) -> list[Path]:
    """Those with the number of vertices that most have: features may look like motion of another mesh."""
    counts = Counter(VertexFile.open(path, flat=True).vertices for path in arrays)
    if len(counts) < 2:
        return arrays
    usual = counts.most_common(1)[0][0]
    kept = [path for path in arrays if VertexFile.open(path, flat=True).vertices == usual]
    found.odd |= {path: f"{path} has not {usual:,} vertices as most arrays have" for path in arrays if path not in kept}
    return kept


def _basis(table: Path, folder: Path, meshes: Iterable[Path]) -> Path | None:
    """The folder of meshes, npz or glTF with most of the names of a table."""
    names = set(read_curves(table).names)
    folders = dict.fromkeys(mesh.parent for mesh in meshes)
    best, most = None, 0
    for path in (*folders, *walk(folder, (".npz", ".glb", ".gltf"))):
        try:
            count = len(names & read_basis(path).deltas.keys())
        except DataError:
            continue
        best, most = (path, count) if count > most else (best, most)
    return best


def _regions(folder: Path) -> Path | None:
    """A folder of lists of indices; FLAME's masks."""
    for parent in dict.fromkeys(file.parent for file in walk(folder, (".txt",))):
        try:
            if [read_region(file) for file in sorted(parent.glob("*.txt"))]:
                return parent
        except DataError:
            continue
    return next((file for file in walk(folder, (".pkl",)) if file.name == MASKS), None)


def topology_of(meshes: Sequence[Path]) -> Path | None:
    """The mesh that is called like a topology, or the only one."""

    def rank(file: Path) -> int:
        name = plain_name(file.stem)
        return next((k for k, word in enumerate(MESH_NAMES) if name.startswith(word)), len(MESH_NAMES))

    ranked = sorted(meshes, key=lambda file: (rank(file), str(file)))
    return ranked[0] if ranked and (len(ranked) == 1 or rank(ranked[0]) < len(MESH_NAMES)) else None
