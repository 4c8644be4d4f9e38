"""Blendshapes: a neutral mesh with named shapes, and tables of their weights over time.

A basis is read from a folder of meshes called after their shapes, an npz of positions, or glTF; weights from CSV, such
as Live Link Face writes. Names are compared without case and signs, and `_L` is `Left`: "eyeBlink_L" is "EyeBlinkLeft".
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.arrays import read_npz
from faces.errors import DataError, said
from faces.gltf import read_gltf
from faces.lfs import refuse_pointer
from faces.mesh import read_mesh
from faces.obj import read_positions

Array = NDArray[np.float32]

NEUTRAL = ("neutral", "genericneutralmesh", "basis", "base", "rest", "default")
TRIANGLES = ("faces", "triangles")
TIMECODE = "timecode"
TIMES = {"time": 1.0, "seconds": 1.0, "timestamp": 1.0}
FRAMES = ("frame", "framenumber", "index")
NOT_SHAPES = (TIMECODE, "blendshapecount", *TIMES, *FRAMES)
USUAL_RATES = (24, 25, 30, 48, 50, 60, 100, 120)
MOST_BYTES = 1 << 29


def plain_name(name: str) -> str:
    """What names are compared by."""
    sided = re.sub(r"_(l|r)$", lambda side: {"l": "left", "r": "right"}[side[1].lower()], name.strip(), flags=re.I)
    return re.sub(r"[^a-z0-9]", "", sided.lower())


@dataclass(frozen=True)
class Basis:
    """neutral: (V, 3). deltas: plain name → (V, 3), what the shape adds at weight 1. faces: (F, 3), may be empty."""

    neutral: Array
    deltas: Mapping[str, Array]
    faces: NDArray[np.int32]

    def motion(self, curves: Curves, rows: Sequence[int]) -> Array:
        """(len(rows), V, 3). Columns that are no shape of the basis move nothing."""
        used = [(k, name) for k, name in enumerate(curves.names) if name in self.deltas]
        weights = curves.weights[np.asarray(rows, int)][:, [k for k, _ in used]]
        flat = np.stack([self.deltas[name].reshape(-1) for _, name in used])
        moved: Array = (self.neutral.reshape(-1) + weights @ flat).astype(np.float32)
        return moved.reshape(len(rows), -1, 3)


@dataclass(frozen=True)
class Curves:
    """names: plain, S of them. weights: (T, S) float32. clock: (T,) when each row was taken, in `unit`: "s", or
    "frames" of a counter or of a timecode; None where the table does not say. rate: what the timecode counts a second.
    """

    names: tuple[str, ...]
    weights: Array
    clock: NDArray[np.float64] | None = None
    unit: str = ""
    rate: float | None = None


def read_basis(path: Path) -> Basis:
    """A basis in any of its forms. DataError where it is absent, has no neutral shape, or its meshes do not fit."""
    if path.is_dir():
        return _from_folder(path)
    if path.suffix.lower() == ".npz":
        return _from_npz(path)
    if path.suffix.lower() in (".glb", ".gltf"):
        face = read_gltf(path)
        return _checked(path, face.neutral, face.shapes, face.faces)
    raise DataError(f"{path} is no basis of blendshapes; give a folder of OBJ or PLY, an npz, or glTF")


def read_curves(file: Path) -> Curves:
    """A table with a head line. DataError, with the line, where a value is no number or a row has other columns."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise DataError(f"{file} is larger than 512 MB, no table of one sequence; split it")
        content = file.read_bytes()
        refuse_pointer(file, content[:64])
        rows = list(csv.reader(content.decode("utf-8-sig").splitlines()))
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} is no table of text ({said(error)}); export it as CSV") from error
    if not rows:
        raise DataError(f"{file} is empty; it must have a head line with the names of the shapes")
    head = [plain_name(cell) for cell in rows[0]]
    columns = [k for k, name in enumerate(head) if name and name not in NOT_SHAPES]
    if not columns or len({head[k] for k in columns}) < len(columns):
        raise DataError(f"{file} has no head line with a name for each shape, or one twice; write the names there")
    body = [(number, row) for number, row in enumerate(rows[1:], start=2) if any(cell.strip() for cell in row)]
    weights = np.array([_row(file, number, row, len(head), columns) for number, row in body], np.float32)
    clock, unit, rate = _clock(file, head, body)
    names = tuple(head[k] for k in columns)
    return Curves(names, weights.reshape(len(body), len(columns)), clock, unit, rate)


def _row(file: Path, number: int, row: list[str], width: int, columns: list[int]) -> list[float]:
    if len(row) < width:
        raise DataError(f"{file}, line {number}, has {len(row)} of {width} columns; the file may be cut short")
    try:
        return [float(row[k]) for k in columns]
    except ValueError as error:
        raise DataError(f"{file}, line {number}: {said(error)}; a weight must be a number") from error


def _clock(
    file: Path, head: list[str], body: list[tuple[int, list[str]]]
) -> tuple[NDArray[np.float64] | None, str, float | None]:
    for k, name in enumerate(head):
        try:
            if name == TIMECODE:
                return _timecodes([row[k] for _, row in body])
            if name in TIMES:
                return _numbers([row[k] for _, row in body]), "s", None
            if name in FRAMES:
                return _numbers([row[k] for _, row in body]), "frames", None
        except ValueError as error:
            raise DataError(f"{file}, column {name}: {said(error)}; correct it or take the column out") from error
    return None, "", None


def _numbers(cells: list[str]) -> NDArray[np.float64]:
    numbers = np.array([float(cell) for cell in cells])
    if not np.isfinite(numbers).all():
        raise ValueError("it holds NaN or infinity")
    return numbers


def _timecodes(cells: list[str]) -> tuple[NDArray[np.float64], str, float | None]:
    """HH:MM:SS:FF.fff as a count of frames; how many make a second is told by the highest that is seen."""
    parts = [re.fullmatch(r"(\d{1,9}):(\d{1,9}):(\d{1,9})[:;](\d{1,9}(?:\.\d+)?)", cell.strip()) for cell in cells]
    if not all(parts):
        raise ValueError("a timecode is not of the form HH:MM:SS:FF")
    split = np.array([[float(x) for x in part.groups()] for part in parts if part]).reshape(-1, 4)
    seconds, frames = split[:, :3] @ [3600, 60, 1], split[:, 3]
    highest = float(frames.max(initial=0))
    whole = len(set(seconds)) > 1  # else no second was seen to its end
    rate = next((r for r in USUAL_RATES if r > math.floor(highest)), None) if whole else None
    return (seconds * rate + frames if rate else np.full(len(cells), np.nan)), "frames", rate


def _from_folder(path: Path) -> Basis:
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in (".obj", ".ply"))
    neutral = [file for file in files if plain_name(file.stem) in NEUTRAL]
    if not neutral:
        raise DataError(f"{path} holds no neutral.obj or neutral.ply; put the mesh with all weights 0 there")
    mesh = read_mesh(neutral[0])
    shapes = {file.stem: _positions(file) for file in files if file not in neutral}
    for name, vertices in shapes.items():
        if len(vertices) != len(mesh.vertices):
            raise DataError(
                f"{path / name} has {len(vertices):,} vertices and {neutral[0].name} {len(mesh.vertices):,}; export "
                "all shapes from one mesh"
            )
    return _checked(path, mesh.vertices, {name: v - mesh.vertices for name, v in shapes.items()}, mesh.faces)


def _positions(file: Path) -> Array:
    return read_positions(file) if file.suffix.lower() == ".obj" else read_mesh(file).vertices


def _from_npz(path: Path) -> Basis:
    arrays = read_npz(path)
    if strange := [name for name, array in arrays.items() if array.dtype.kind not in "fiu"]:
        raise DataError(
            f"{path}, {said(strange[0])}, holds {arrays[strange[0]].dtype} and no positions; take it out of the file"
        )
    neutral = next((arrays[name] for name in arrays if plain_name(name) in NEUTRAL), None)
    if neutral is None:
        raise DataError(f"{path} holds no array 'neutral' (V, 3); add the positions with all weights 0")
    shapes = {n: a for n, a in arrays.items() if plain_name(n) not in NEUTRAL and n not in TRIANGLES}
    for name, vertices in shapes.items():
        if vertices.shape != neutral.shape:
            raise DataError(
                f"{path}, {name}, is {vertices.shape} and the neutral shape {neutral.shape}; make them alike"
            )
    faces = next((arrays[name] for name in TRIANGLES if name in arrays), np.zeros((0, 3), np.int32))
    if faces.dtype.kind == "f" or faces.ndim != 2 or faces.shape[1] != 3:
        raise DataError(f"{path} holds triangles of {faces.dtype} {faces.shape}, not whole numbers (F, 3)")
    base = neutral.astype(np.float64)
    return _checked(path, base, {name: v - base for name, v in shapes.items()}, faces)


def _checked(path: Path, neutral: NDArray, shapes: Mapping[str, NDArray], faces: NDArray[np.integer]) -> Basis:
    with np.errstate(over="ignore"):  # it becomes infinity, which is told
        neutral = np.asarray(neutral, np.float32)
        named = {plain_name(name): np.asarray(delta, np.float32) for name, delta in shapes.items()}
    if neutral.ndim != 2 or neutral.shape[1:] != (3,) or not named or len(named) < len(shapes):
        raise DataError(
            f"{path} holds no shapes, or two of one name, beside its neutral one; name each after its shape"
        )
    if not np.isfinite(neutral).all() or not all(np.isfinite(delta).all() for delta in named.values()):
        raise DataError(f"{path} holds NaN or infinity; export the shapes again")
    if len(faces) and not 0 <= int(faces.min()) <= int(faces.max()) < len(neutral):
        raise DataError(f"{path} has a triangle with a corner outside its {len(neutral):,} vertices; export it again")
    return Basis(neutral, named, faces.astype(np.int32))
