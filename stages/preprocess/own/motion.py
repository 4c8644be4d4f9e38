"""The motion of one sequence in each form: opened by names and headers, read a few frames at a time, as stored.

Nothing is turned, scaled or refused for NaN here, so that `pipe data check` sees what the files hold.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from faces.arrays import npz_headers, read_npz
from faces.blendshapes import Basis, Curves, read_curves
from faces.errors import DataError
from faces.gltf import Face, read_gltf
from faces.mesh import Mesh, read_mesh
from faces.obj import read_positions
from faces.ply import read_ply
from stages.preprocess.frame_files import ending, number_of
from stages.preprocess.own.description import Description
from stages.preprocess.own.layout import MESHES
from stages.preprocess.vertex_file import VertexFile

Array = NDArray[np.float32]
USUAL_NAMES = ("vertices", "verts", "motion", "positions", "points")
BLOCK = 32
"""Frames of glTF and of tables that are made at a time."""


class Motion(Protocol):
    """frames: T. vertices: V; None where only reading tells. remarks: what the file has and is not shown."""

    @property
    def frames(self) -> int: ...
    @property
    def vertices(self) -> int | None: ...
    @property
    def remarks(self) -> Sequence[str]: ...

    def read(self, rows: Sequence[int]) -> Array:
        """(len(rows), V, 3) as stored. DataError where a frame is damaged or of another size."""
        ...

    def place(self, row: int) -> str:
        """What to call a frame in a sentence."""
        ...


def open_motion(path: Path, description: Description, basis: Callable[[], Basis]) -> Motion:
    """Open a sequence. basis: of tables of weights, asked for when it is needed."""
    match description.files.form:
        case "npy":
            return Arrays(VertexFile.open(path, flat=True))
        case "npz":
            return Archive.open(path, description.files.array)
        case "meshes":
            return Frames.open(path)
        case "gltf":
            return Morphs(path, read_gltf(path), description.fps)
        case _:
            return Weights(path, read_curves(path), basis())


@dataclass(frozen=True)
class Arrays:
    """(T, V, 3) or (T, 3 V) in one .npy file."""

    file: VertexFile
    remarks = ()

    @property
    def frames(self) -> int:
        return self.file.frames

    @property
    def vertices(self) -> int:
        return self.file.vertices

    def read(self, rows: Sequence[int]) -> Array:
        return self.file.gather(np.asarray(rows, np.int64))

    def place(self, row: int) -> str:
        return f"{self.file.path}, frame {row}"


@dataclass(frozen=True)
class Archive:
    """The same in one member of an .npz file."""

    path: Path
    name: str
    shape: tuple[int, int, int]
    remarks = ()

    @classmethod
    def open(cls, path: Path, wanted: str) -> Archive:
        headers = npz_headers(path)
        name = wanted or (
            next(iter(headers)) if len(headers) == 1 else next((n for n in USUAL_NAMES if n in headers), "")
        )
        if name not in headers:
            there = ", ".join(headers) or "nothing"
            raise DataError(f'{path} holds {there}; say with array = "…" in dataset.toml which of them is the motion')
        shape, dtype = headers[name].shape, headers[name].dtype
        if len(shape) == 2 and shape[1] % 3 == 0:
            shape = (shape[0], shape[1] // 3, 3)
        if len(shape) != 3 or shape[2] != 3 or dtype.kind != "f" or dtype.itemsize < 4:
            raise DataError(f"{path}, {name}, is {dtype} {shape}; it must be float32 or float64 (frames, vertices, 3)")
        return cls(path, name, (shape[0], shape[1], 3))

    @property
    def frames(self) -> int:
        return self.shape[0]

    @property
    def vertices(self) -> int:
        return self.shape[1]

    def read(self, rows: Sequence[int]) -> Array:
        array = read_npz(self.path, {self.name})[self.name].reshape(self.shape)
        return np.asarray(array[np.asarray(rows, np.int64)], np.float32)

    def place(self, row: int) -> str:
        return f"{self.path}, frame {row}"


@dataclass(frozen=True)
class Frames:
    """A mesh a frame. files: in the order of their numbers, without a gap."""

    path: Path
    files: tuple[str, ...]
    vertices = None
    remarks = ()

    @classmethod
    def open(cls, path: Path) -> Frames:
        files = [file for file in os.listdir(path) if not file.startswith(".") and ending(file) in MESHES]
        if len({ending(file) for file in files}) > 1:
            raise DataError(f"{path} holds .obj and .ply files; keep the one kind or the other")
        numbered = sorted((number_of(path, file), file) for file in files)
        for (before, one), (number, other) in pairwise(numbered):
            if number == before:
                raise DataError(f"{path} has frame {number} twice, {one} and {other}; remove one")
            if number != before + 1:
                raise DataError(
                    f"{path}: {number - before - 1} frames are missing between {one} and {other}; export them, or all "
                    "that follows is early against the sound"
                )
        return cls(path, tuple(file for _, file in numbered))

    @property
    def frames(self) -> int:
        return len(self.files)

    def read(self, rows: Sequence[int]) -> Array:
        points = list[Array]()
        for row in rows:
            file = self.path / self.files[row]
            points.append(read_positions(file) if ending(file.name) == ".obj" else read_ply(file).vertices)
            if len(points[-1]) != len(points[0]):
                raise DataError(
                    f"{file} has {len(points[-1]):,} vertices, and {self.files[rows[0]]} {len(points[0]):,}; export "
                    "all frames from one mesh"
                )
        return np.stack(points) if points else np.zeros((0, 0, 3), np.float32)

    def mesh(self) -> Mesh:
        """The first frame, with its triangles."""
        return read_mesh(self.path / self.files[0])

    def place(self, row: int) -> str:
        return str(self.path / self.files[row])


@dataclass(frozen=True)
class Morphs:
    """A glTF file, sampled at the data set's frame rate."""

    path: Path
    face: Face
    fps: float

    @property
    def frames(self) -> int:
        return self.face.frames(self.fps)

    @property
    def vertices(self) -> int:
        return sum(len(part.base) for part in self.face.parts)

    @property
    def remarks(self) -> Sequence[str]:
        return self.face.notes

    def read(self, rows: Sequence[int]) -> Array:
        return _by_blocks(rows, lambda some: self.face.motion(np.asarray(some) / self.fps), self.vertices)

    def place(self, row: int) -> str:
        return f"{self.path}, frame {row}"


@dataclass(frozen=True)
class Weights:
    """A table of blendshape weights, a row a frame."""

    path: Path
    curves: Curves
    basis: Basis

    def __post_init__(self) -> None:
        if not self.known:
            there = ", ".join(list(self.basis.deltas)[:5])
            raise DataError(f"{self.path} has no column that is a shape of the basis ({there}, …); use their names")

    @property
    def known(self) -> list[str]:
        return [name for name in self.curves.names if name in self.basis.deltas]

    @property
    def frames(self) -> int:
        return len(self.curves.weights)

    @property
    def vertices(self) -> int:
        return len(self.basis.neutral)

    @property
    def remarks(self) -> Sequence[str]:
        idle = [name for k, name in enumerate(self.curves.names) if name not in self.basis.deltas and self._moves(k)]
        return [f"columns that are no shape of the basis move nothing: {', '.join(idle)}"] if idle else []

    def read(self, rows: Sequence[int]) -> Array:
        return _by_blocks(rows, lambda some: self.basis.motion(self.curves, some), self.vertices)

    def place(self, row: int) -> str:
        return f"{self.path}, frame {row}"

    def _moves(self, column: int) -> bool:
        return bool(np.ptp(self.curves.weights[:, column])) if self.frames else False


def _by_blocks(rows: Sequence[int], make: Callable[[Sequence[int]], Array], vertices: int) -> Array:
    """In float32 from the start: the products of many frames at once would be held twice."""
    frames = np.empty((len(rows), vertices, 3), np.float32)
    for start in range(0, len(rows), BLOCK):
        frames[start : start + BLOCK] = make(rows[start : start + BLOCK])
    return frames
