"""VOCASET's raw files, read and checked: which sequences there are, their rows, their sound, their templates.

`read_raw` opens everything but the vertices, whose header alone is read. A file that is missing, damaged or does not
fit the others is a `DataError`; a sequence that only some dictionaries know is left to the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.ply import read_ply
from faces.safe_pickle import load_pickle
from stages.kinds.sequences import check_name, sequence_id
from stages.preprocess.prepare import Name
from stages.preprocess.vertex_file import VertexFile


@dataclass(frozen=True)
class Raw:
    """rows: of `vertices`, in the order of the frame numbers, (T,) int64. gaps: sequences whose numbers are not 0…T-1.

    audio: name → {"audio": samples, "sample_rate": Hz} as stored. templates: subject → (V, 3) float32. faces: (F, 3).
    """

    vertices: VertexFile
    rows: Mapping[Name, NDArray[np.int64]]
    gaps: frozenset[Name]
    audio: dict[Name, Mapping[str, Any]]
    templates: Mapping[str, NDArray[np.float32]]
    faces: NDArray[np.int32]


def read_raw(files: Mapping[str, Path]) -> Raw:
    """Read the files named "vertices", "index", "audio", "templates" and "topology"."""
    check_present(files)
    vertices = VertexFile.open(files["vertices"])
    rows, gaps = _read_index(files["index"], vertices)
    return Raw(
        vertices,
        rows,
        gaps,
        _by_name(files["audio"], load_pickle(files["audio"])),
        read_templates(files["templates"], vertices),
        read_faces(files["topology"], vertices),
    )


def check_present(files: Mapping[str, Path]) -> None:
    """DataError for the first file that is missing."""
    for file in files.values():
        if not file.parent.is_dir():
            raise DataError(
                f"the dataset folder {file.parent} does not exist; give the folder that holds {file.name} as root"
            )
        if not file.exists():
            raise DataError(f"{file} is missing; download it from the data set's owners or copy it there")


def _by_name(file: Path, table: Any) -> dict[Name, Any]:
    """subject → sentence → value, flattened. Names become files' names, and two must not become the same."""
    if not isinstance(table, dict) or not all(isinstance(inner, dict) for inner in table.values()):
        raise DataError(f"{file} must hold a dictionary of subject → sentence → value; it is another file")
    found = dict[Name, Any]()
    ids = set[str]()
    for subject, inner in table.items():
        for sentence, value in inner.items():
            name = check_name(str(subject), str(file)), check_name(str(sentence), str(file))
            if sequence_id(*name) in ids:
                raise DataError(f"{file} holds two sequences {sequence_id(*name)}; rename a subject or a sentence")
            ids.add(sequence_id(*name))
            found[name] = value
    return found


def _read_index(file: Path, vertices: VertexFile) -> tuple[dict[Name, NDArray[np.int64]], frozenset[Name]]:
    rows, gaps = dict[Name, NDArray[np.int64]](), set[Name]()
    for name, numbered in _by_name(file, load_pickle(file)).items():
        where = f"{file}, {'_'.join(name)}"
        try:
            pairs = np.array(sorted((int(frame), int(row)) for frame, row in numbered.items()), dtype=np.int64)
        except (AttributeError, TypeError, ValueError) as error:
            raise DataError(f"{where}: not a dictionary of frame number → row ({error})") from error
        rows[name] = pairs.reshape(-1, 2)[:, 1]
        _check_rows(where, rows[name], vertices)
        if not np.array_equal(pairs.reshape(-1, 2)[:, 0], np.arange(len(pairs))):
            gaps.add(name)
    return rows, frozenset(gaps)


def _check_rows(where: str, rows: NDArray[np.int64], vertices: VertexFile) -> None:
    outside = rows[(rows < 0) | (rows >= vertices.frames)]
    if outside.size:
        raise DataError(
            f"{where} points to row {outside[0]} of {vertices.path.name}, which has {vertices.frames}; "
            "the two files belong to different downloads"
        )


def read_templates(file: Path, vertices: VertexFile) -> dict[str, NDArray[np.float32]]:
    """Subject → (V, 3). DataError where they are not of the topology of `vertices`."""
    table = load_pickle(file)
    if not isinstance(table, dict):
        raise DataError(f"{file} must hold a dictionary of subject → template; it is another file")
    names = {check_name(str(subject), str(file)): template for subject, template in table.items()}
    return {subject: _check_template(file, subject, names[subject], vertices) for subject in sorted(names)}


def _check_template(file: Path, subject: str, template: Any, vertices: VertexFile) -> NDArray[np.float32]:
    array = np.asarray(template)
    if array.shape != vertices.shape[1:] or array.dtype.kind != "f":
        raise DataError(
            f"{file}, {subject}: the template is {array.dtype} {array.shape}, but {vertices.path.name} has "
            f"{vertices.vertices} vertices of 3 coordinates; the two must be of one topology"
        )
    if not np.isfinite(array).all():
        raise DataError(f"{file}, {subject}: the template holds NaN or infinity; take another copy of the file")
    return array.astype(np.float32)


def read_faces(file: Path, vertices: VertexFile) -> NDArray[np.int32]:
    """(F, 3) of a mesh of the topology of `vertices`. DataError where it is of another."""
    mesh = read_ply(file)
    if len(mesh.vertices) != vertices.vertices:
        raise DataError(
            f"{file} has {len(mesh.vertices)} vertices, but {vertices.path.name} has {vertices.vertices}; "
            "give the mesh of the data's own topology"
        )
    return mesh.faces
