"""The kind `surfaces`: meshes of a head model, one PLY a frame, each with triangles of its own.

`meshes/<name>/frame_00000.ply`, binary, float32 positions in the data's units: names are those of `predictions`, frames
count from 0. `surfaces.json` says what they are: frame rate, units, what the head model and the extraction were, and of
each sequence what it cost and how open the mouth is. `topology` is "fixed" where the frames of a sequence share their
triangles, "free" where they do not. `rest/<subject>.ply` is a head at rest, where all sequences of that subject's are
in its topology. `Surfaces(path)` reads such an artifact and checks what it reads; what is missing
or not as it should be is a `DataError`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faces.errors import DataError, said
from faces.texts import read_json
from pipeline.stage import of_json
from stages.kinds.plain import built, read_as, remade_by, told_as, write_json
from stages.kinds.predictions import FILE_NAME, Item
from stages.kinds.sequences import Sequences

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from faces.ply import Mesh

INDEX = "surfaces.json"
MESHES, REST = "meshes", "rest"
FACTS = "frames.json"
"""Beside a sequence's meshes: its `Made`."""
FREE, FIXED = "free", "fixed"


@dataclass(frozen=True)
class Made:
    """How a sequence's meshes came about.

    vertices: V of each frame. asked: points that the head model was asked for, in all frames together. dense: how many
    an extraction of all samples would have asked for. whole: frames that were searched everywhere. unsolved: vertices
    in fixed topology whose place was not found, in all frames together. openness: of the mouth in each frame, a number
    that grows with it.
    """

    vertices: Sequence[int]
    asked: int
    dense: int
    whole: int
    unsolved: int
    openness: Sequence[float]


@dataclass(frozen=True)
class Info:
    """What `surfaces.json` says.

    fps, units, up: as in `sequences`. model: what made the codes. topology: "free" or "fixed". head: facts of the head
    model. choices: of the extraction, by the names of the stage's parameters. items: as of `predictions`. made: how
    each came about. styles: whether the network speaks in the style that it is given.
    """

    fps: float
    units: str
    up: str
    dataset: str
    model: str
    topology: str
    head: Mapping[str, Any]
    choices: Mapping[str, Any]
    items: Mapping[str, Item]
    made: Mapping[str, Made]
    styles: bool = True

    def in_style(self, what: str, item: Item) -> str:
        """A caption of `what` with the style that it is in, where the network has any, or with the sample's number."""
        styled = f"{what}, style of {item.condition}" if self.styles else what
        return styled if item.seed is None else f"{styled}, sample {item.seed}"


def mesh_file(folder: Path, name: str, number: int) -> Path:
    """The file of one frame below an artifact's folder."""
    return folder / MESHES / name / f"frame_{number:05d}.ply"


def rest_file(folder: Path, subject: str) -> Path:
    """The file of a head at rest below an artifact's folder."""
    return folder / REST / f"{subject}.ply"


def by_folder(files: Mapping[str, str]) -> dict[str, str]:
    """Folder → a digest of all that is in it. files: relative name → digest."""
    found: dict[str, list[str]] = {}
    for name, digest in sorted(files.items()):
        found.setdefault(name.rpartition("/")[0], []).append(digest)
    return {folder: of_json(digests) for folder, digests in found.items()}


def write_made(folder: Path, name: str, made: Made) -> Path:
    """Write how a sequence came about, a file of its own so that it goes along with the meshes."""
    return write_json(folder / MESHES / name / FACTS, asdict(made))


def read_made(folder: Path, name: str) -> Made:
    """What `write_made` wrote."""
    file = folder / MESHES / name / FACTS
    return read_as(Made, file, "does not say how meshes were made", "make it again with meshes")


def write_index(folder: Path, info: Info) -> Path:
    """Write `surfaces.json`, sorted by name, so that equal content is equal bytes."""
    facts = asdict(info)
    for table in ("items", "made"):
        facts[table] = dict(sorted(facts[table].items()))
    return write_json(folder / INDEX, facts)


class Surfaces:
    """Reads an artifact of the kind `surfaces`."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @cached_property
    def info(self) -> Info:
        file = self.path / INDEX
        with told_as(file, "is not an index of surfaces", "make it with meshes"):
            info = built(Info, read_json(file))
            if not 0 < info.fps < math.inf:
                raise TypeError(f"its frame rate is {info.fps}")
            if info.topology not in (FREE, FIXED):
                raise TypeError(f"its topology is {info.topology!r}")
            if info.items.keys() != info.made.keys():
                raise TypeError("its tables are of different sequences")
        if strange := [name for name in info.items if not re.fullmatch(FILE_NAME, name)]:
            raise DataError(
                f"{file} holds the name {said(repr(strange[0]))}, which no folder of its has; make it with meshes"
            )
        return info

    @property
    def items(self) -> Mapping[str, Item]:
        """name → item, in the index's order: sorted by name."""
        return self.info.items

    def file(self, name: str) -> Path:
        """The folder of a sequence's frames."""
        return self.path / MESHES / name

    def frame(self, name: str, number: int) -> Mesh:
        """One frame, (V, 3) float32 and (F, 3) int32. DataError where it is missing, or not what the index says."""
        import numpy as np

        from faces.ply import read_ply

        item = self._item(name)
        if not 0 <= number < item.frames:
            raise DataError(f"{self.file(name)} has {item.frames} frames, and no frame {number}")
        file = mesh_file(self.path, name, number)
        with remade_by("meshes", file):
            mesh = read_ply(file)
        wanted = self.info.made[name].vertices[number]
        if len(mesh.vertices) != wanted or not len(mesh.faces):
            what = (
                f"{len(mesh.vertices)} vertices and {len(mesh.faces)} triangles, and the index says {wanted} vertices"
            )
            raise DataError(f"{file} has {what}: make it again with meshes")
        if not np.isfinite(mesh.vertices).all():
            raise DataError(f"{file} has vertices that are NaN or infinite: make it again with meshes")
        return mesh

    def frames(self, name: str) -> Iterator[Mesh]:
        """All frames of a sequence, in order, one in memory at a time. DataError as of `frame`."""
        return (self.frame(name, number) for number in range(self._item(name).frames))

    def check(self) -> None:
        """DataError unless all frames are there and as they should be; of a fixed topology with equal triangles, those
        of the head at rest where there is one."""
        import numpy as np

        for name, item in self.items.items():
            first = self._rest(item.subject)
            for number, mesh in enumerate(self.frames(name)):
                first = mesh.faces if first is None else first
                if self.info.topology == FIXED and not np.array_equal(first, mesh.faces):
                    raise DataError(
                        f"{mesh_file(self.path, name, number)} has other triangles than the first frame, or the head "
                        "at rest, and the topology is fixed: make it again with meshes"
                    )

    def _rest(self, subject: str) -> NDArray[np.int32] | None:
        """(F, 3) triangles of a head at rest; None where there is none."""
        from faces.ply import read_ply

        file = rest_file(self.path, subject)
        if not file.is_file():
            return None
        with remade_by("meshes", file):
            return read_ply(file).faces

    def _item(self, name: str) -> Item:
        if name not in self.items:
            raise DataError(f"{self.path} has no surfaces of {name}")
        item, made = self.items[name], self.info.made[name]
        if not len(made.vertices) == len(made.openness) == item.frames:
            raise DataError(f"{self.path / INDEX} does not say of each frame of {name} what it is; make it with meshes")
        return item


def check_alike(data: Sequences, surfaces: Surfaces) -> None:
    """DataError unless surfaces have the frame rate, units and up axis of the data they are held against."""
    made = surfaces.info
    if (made.fps, made.units, made.up) != (data.fps, data.units, data.info.up):
        raise DataError(
            f"{surfaces.path} is at {made.fps:g} fps in {made.units} with {made.up} up and {data.path} at {data.fps:g} "
            f"fps in {data.units} with {data.info.up} up: use the sequences that the surfaces were made from"
        )
