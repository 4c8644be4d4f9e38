"""The frames of a sequence: FLAME meshes and NPHM codes, a file each, which must be of the same moments.

Numbers may begin anywhere, but none may lack between the first and the last, and both must have the same: whatever
follows a gap would be out of time with the sound. All sequences that are not so are named at once, with the way to
leave them out. A code's file may hold its one array under any name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.arrays import read_npz
from faces.errors import DataError
from faces.ply import Mesh, read_ply
from stages.kinds.sequences import sequence_id
from stages.preprocess.facetalk.layout import CODES, MESHES, Layout
from stages.preprocess.frame_files import FrameFiles
from stages.preprocess.prepare import Name, check_finite, leave_out

FORMS = {MESHES: ".ply", CODES: ".npz"}
STEM = "frame_"
LONGEST_CODE = 4096
"""Numbers; NPHM's have 200, MonoNPHM's 100."""
MOST_NAMED = 3
"""Sequences that an error describes; it names all for `skip`."""

Tracking = Mapping[str, FrameFiles]
"""Part → its files, of those that a sequence has."""


def open_frames(layout: Layout, names: Iterable[Name]) -> dict[Name, Tracking]:
    """The frames of all sequences by name. DataError where frames are missing."""
    opened = {name: _open(layout, name) for name in names}
    problems = {name: problem for name, tracking in opened.items() if (problem := _problem(tracking))}
    if problems:
        told = "; ".join(f"{sequence_id(*name)}: {problem}" for name, problem in list(problems.items())[:MOST_NAMED])
        more = f"; and {len(problems) - MOST_NAMED} more" if len(problems) > MOST_NAMED else ""
        named = ", ".join(f'"{sequence_id(*name)}"' for name in problems)
        raise DataError(f"{told}{more}: restore what is missing, or leave them out with skip = [{named}]")
    return opened


def read_meshes(files: Sequence[Path], model: Mesh, name: Name) -> NDArray[np.float32]:
    """(T, V, 3). DataError for a mesh that is not of the model's topology, or holds NaN."""
    frames = np.empty((len(files), *model.vertices.shape), np.float32)
    for k, file in enumerate(files):
        mesh = read_ply(file)
        if len(mesh.vertices) != len(model.vertices) or not np.array_equal(mesh.faces, model.faces):
            raise DataError(f"{file} is not of the topology of the sequence's template; {leave_out(name)}")
        frames[k] = mesh.vertices
    check_finite(frames, lambda row: str(files[row]), name)
    return frames


def read_codes(files: Sequence[Path], name: Name) -> NDArray[np.float32]:
    """(T, D). DataError for a file that holds not one array, or one of another length."""
    codes = [_read_code(file) for file in files]
    for file, code in zip(files, codes, strict=True):
        if code.shape != codes[0].shape:
            raise DataError(f"{file} holds {code.size} numbers, the first frame {codes[0].size}; {leave_out(name)}")
    rows = np.stack(codes)
    check_finite(rows[:, :, None], lambda row: str(files[row]), name)
    return rows


def _read_code(file: Path) -> NDArray[np.float32]:
    arrays = read_npz(file)
    if len(arrays) != 1:
        raise DataError(f"{file} holds {len(arrays)} arrays ({', '.join(arrays)}), not the one of an expression code")
    ((key, code),) = arrays.items()
    if code.dtype.kind != "f" or not 0 < code.size <= LONGEST_CODE:
        raise DataError(f"{file}, {key}, is {code.dtype} {code.shape}, not the numbers of an expression code")
    return code.astype(np.float32).reshape(-1)


def _open(layout: Layout, name: Name) -> Tracking:
    places = {part: layout.place(name, part) for part in FORMS}
    return {part: FrameFiles.of(place, FORMS[part], STEM) for part, place in places.items() if place}


def _problem(tracking: Tracking) -> str:
    gaps = [f"{part} {files.missing} missing" for part, files in tracking.items() if files.missing]
    return ", ".join([*gaps, *(_unlike(tracking) if not gaps else ())])


def _unlike(tracking: Tracking) -> Iterator[str]:
    if len(tracking) == len(FORMS):
        one, other = (tracking[part].numbers for part in FORMS)
        if one and other and (one[0], one[-1]) != (other[0], other[-1]):
            yield f"{MESHES} are of frames {one[0]}-{one[-1]}, {CODES} of {other[0]}-{other[-1]}"
