"""The motion of one sequence in the forms in which users hold it: a folder of `.vl` or `.obj` files, an archive of
`.vl` files, which stays packed, or one array.

`open_motion` looks at names, or at an array's header; `read` then reads the frames that are wanted and checks every
one. Whatever is not as it should be is a `DataError` that names the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from faces.archives import Archive
from faces.errors import DataError
from faces.obj import read_obj, read_positions
from faces.vl import parse_vl, read_vl
from stages.preprocess.biwi.layout import is_archive
from stages.preprocess.frame_files import ending, number_of
from stages.preprocess.prepare import Name, check_finite, leave_out
from stages.preprocess.vertex_file import VertexFile

FIRST_NUMBERS = (0, 1)
"""What frames may be counted from: the corpus begins with frame_001, exporters of meshes often with 0."""


class Motion(Protocol):
    """frames: T as recorded. ready: an array that somebody has made, rather than frames as they were recorded."""

    @property
    def frames(self) -> int: ...
    @property
    def ready(self) -> bool: ...

    def read(self, rows: Sequence[int], faces: NDArray[np.int32], vertices: int) -> NDArray[np.float32]:
        """These frames, (len(rows), V, 3), writable. DataError where one is not of this topology or holds NaN."""
        ...


def open_motion(path: Path, name: Name) -> Motion:
    """Open a folder of frames, an archive of them or an array, which may be empty."""
    if path.is_dir():
        return FrameFolder.open(path, name)
    return FrameArchive.open(path, name) if is_archive(path) else FrameArray(VertexFile.open(path, flat=True), name)


@dataclass(frozen=True)
class FrameFolder:
    """A file a frame. files: in the order of their numbers."""

    path: Path
    name: Name
    files: tuple[str, ...]
    ready = False

    @classmethod
    def open(cls, path: Path, name: Name) -> FrameFolder:
        return cls(path, name, in_order(path, os.listdir(path), name))

    @property
    def frames(self) -> int:
        return len(self.files)

    def read(self, rows: Sequence[int], faces: NDArray[np.int32], vertices: int) -> NDArray[np.float32]:
        frames = np.empty((len(rows), vertices, 3), np.float32)
        for k, row in enumerate(rows):
            file = self.path / self.files[row]
            if k == 0 and ending(file.name) == ".obj":
                self._check_triangles(file, faces)
            frames[k] = _counted(READERS[ending(file.name)](file), str(file), vertices, self.name)
        check_finite(frames, lambda k: str(self.path / self.files[rows[k]]), self.name)
        return frames

    def _check_triangles(self, file: Path, faces: NDArray[np.int32]) -> None:
        """An exporter that renumbers vertices shows it in the triangles; of one sequence all frames are alike."""
        found = read_obj(file, polygons=False).faces
        if len(found) and not np.array_equal(found, faces):
            raise DataError(
                f"{file} has other triangles than the templates, so that its vertices are not in their order; export "
                "it with the order kept"
            )


@dataclass(frozen=True)
class FrameArchive:
    """A member of an archive a frame. members: in the order of their numbers."""

    archive: Archive
    name: Name
    members: tuple[str, ...]
    ready = False

    @classmethod
    def open(cls, path: Path, name: Name) -> FrameArchive:
        archive = Archive.open(path)
        members = in_order(path, archive.names, name)
        folders = sorted({os.path.dirname(member) for member in members})
        if len(folders) > 1:
            raise DataError(f"{path} holds frames in {folders[0]!r} and in {folders[1]!r}; pack each sequence alone")
        if members and ending(members[0]) != ".vl":
            raise DataError(f"{path} holds meshes; only .vl frames are read inside archives: unpack it in place")
        return cls(archive, name, members)

    @property
    def frames(self) -> int:
        return len(self.members)

    def read(self, rows: Sequence[int], faces: NDArray[np.int32], vertices: int) -> NDArray[np.float32]:
        frames = np.empty((len(rows), vertices, 3), np.float32)
        wanted = {self.members[row]: k for k, row in enumerate(rows)}
        with self.archive:
            for member in self.archive.names:  # a packed tar is read forwards alone
                if member in wanted:
                    frames[wanted[member]] = self._points(member, vertices)
        check_finite(frames, lambda k: self._where(self.members[rows[k]]), self.name)
        return frames

    def _points(self, member: str, vertices: int) -> NDArray[np.float32]:
        where = self._where(member)
        return _counted(parse_vl(self.archive.read(member), where), where, vertices, self.name)

    def _where(self, member: str) -> str:
        return f"{self.archive.path}, {member}"


@dataclass(frozen=True)
class FrameArray:
    """(T, V, 3) or (T, 3 V) in one file."""

    file: VertexFile
    name: Name
    ready = True

    @property
    def frames(self) -> int:
        return self.file.frames

    def read(self, rows: Sequence[int], faces: NDArray[np.int32], vertices: int) -> NDArray[np.float32]:
        if self.file.vertices != vertices:
            raise DataError(
                f"{self.file.path} has {self.file.vertices:,} vertices, but the templates have {vertices:,}; "
                f"{leave_out(self.name)}"
            )
        frames = self.file.gather(np.asarray(rows, np.int64))
        check_finite(frames, lambda k: f"{self.file.path}, frame {rows[k]}", self.name)
        return frames


READERS = {".vl": read_vl, ".obj": read_positions}


def in_order(path: Path, files: Iterable[str], name: Name) -> tuple[str, ...]:
    """Those that are frames, by their numbers. DataError where they are of two kinds, or one is missing or double."""
    frames = [file for file in files if not os.path.basename(file).startswith(".") and ending(file) in READERS]
    if len({ending(file) for file in frames}) > 1:
        raise DataError(f"{path} holds .vl and .obj files; keep the one kind or the other")
    numbered = sorted((number_of(path, file), file) for file in frames)
    _check_numbers(path, numbered, name)
    return tuple(file for _, file in numbered)


def _counted(points: NDArray[np.float32], where: str, vertices: int, name: Name) -> NDArray[np.float32]:
    if len(points) != vertices:
        raise DataError(f"{where} has {len(points):,} vertices, but the templates have {vertices:,}; {leave_out(name)}")
    return points


def _check_numbers(path: Path, numbered: Sequence[tuple[int, str]], name: Name) -> None:
    """The published converter counts files from 1 and fails at a gap, and so do we: what follows one is out of time."""
    if numbered and numbered[0][0] not in FIRST_NUMBERS:
        first, file = numbered[0]
        raise DataError(f"{path} begins with {file}: {_missing(1, first)} missing; {leave_out(name)}")
    for (before, one), (number, other) in pairwise(numbered):
        if number == before:
            raise DataError(f"{path} has frame {number} twice, {one} and {other}; remove one")
        if number != before + 1:
            gap = _missing(before + 1, number)
            raise DataError(f"{path}: {gap} missing between {one} and {other}; {leave_out(name)}")


def _missing(first: int, end: int) -> str:
    return f"frame {first} is" if end == first + 1 else f"frames {first} to {end - 1} are"
