"""An optional part of the kind `sequences`: tracks, rows of numbers beside a sequence's vertices.

A track is what a model may work in instead of vertices or sound: a head model's expression codes, parameters of FLAME,
features of the speech that somebody computed before. `tracks/<track>/<id>.npy` is float32 (N, D), and `tracks.json`
says of every track what it is, whether its rows are the sequence's frames, D, and N by id. A sequence may lack a track,
and most data sets have none: `read_tracks` is then empty. What is missing or not as it should be is a `DataError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from faces.errors import DataError, said
from faces.texts import read_json
from pipeline.stage import Given, of_json
from stages.kinds.plain import built, remade_by, write_json
from stages.kinds.sequences import check_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

INDEX = "tracks.json"
FOLDER = "tracks"
EXPRESSION = "nphm_expression"
"""The track of a head model's expression codes, as FaceTalk's data set calls them."""


@dataclass(frozen=True)
class Track:
    """about: what the numbers are. framewise: row i belongs to frame i of the sequence. size: D. rows: id → N. head: of
    expression codes, what tells the head model that they were sought with from others (`stages.kinds.head`); "" where
    nobody knows, as of codes that others released."""

    about: str
    framewise: bool
    size: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    head: str = ""


class Rows:
    """One track of an artifact: `rows[id]` is (N, D) float32, a read-only memory map."""

    def __init__(self, folder: Path, track: Track) -> None:
        self.folder, self.track = folder, track

    def __contains__(self, name: object) -> bool:
        return name in self.track.rows

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        from faces.arrays import open_npy

        if name not in self:
            raise DataError(f"{self.folder} has no rows of {name}, whose raw data lack them")
        file, shape = self.folder / f"{name}.npy", (self.track.rows[name], self.track.size)
        with remade_by("preprocess", file):
            found: NDArray[np.float32] = open_npy(file)
        if found.shape != shape or found.dtype.str != "<f4":
            raise DataError(
                f"{file} holds {found.dtype} {found.shape}, not float32 {shape}: make it again with preprocess"
            )
        return found


def read_tracks(path: Path) -> dict[str, Rows]:
    """All tracks of an artifact of the kind `sequences`, by name."""
    file = Path(path) / INDEX
    if not file.is_file():
        return {}
    try:
        facts = read_json(file)
        declared = {check_name(name, str(file)): built(Track, track) for name, track in facts.items()}
    except DataError:
        raise
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{file} is no index of tracks ({said(error)}); make it again with preprocess") from None
    return {name: Rows(Path(path) / FOLDER / name, track) for name, track in declared.items()}


def read_track(path: Path, name: str, wish: str, remedy: str) -> Rows:
    """One track. DataError where there is none of that name: wish says who wants it, remedy what to do."""
    there = read_tracks(path)
    if name not in there:
        raise DataError(f"{path} has no track {name!r}{wish}; it has {', '.join(there) or 'none'}: {remedy}")
    return there[name]


def of_track(path: Path, track: str, names: Sequence[str], given: Given) -> dict[str, str]:
    """Part → digest: the rows of a track of the named sequences, told from all else in the artifact. Without NumPy."""
    declared = there.track if (there := read_tracks(path).get(track)) else Track("", framewise=False)
    facts = [track, declared.framewise, declared.size, declared.head, [declared.rows.get(name) for name in names]]
    files = [given.files.get(f"{FOLDER}/{track}/{name}.npy") for name in names]
    return {INDEX: of_json(facts), FOLDER: of_json(files)}


def write_rows(folder: Path, track: str, name: str, rows: NDArray[np.floating]) -> Path:
    """Write (N, D) rows of one sequence below an artifact's folder."""
    import numpy as np

    file = folder / FOLDER / track / f"{name}.npy"
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, np.ascontiguousarray(rows, np.float32))
    return file


def write_index(folder: Path, tracks: Mapping[str, Track], names: Iterable[str]) -> None:
    """Write `tracks.json` of what was written for these sequences; nothing where there is nothing.

    DataError where the rows of one track have different sizes.
    """
    facts = {track: _measured(folder / FOLDER / track, declared, names) for track, declared in tracks.items()}
    if found := {track: asdict(measured) for track, measured in facts.items() if measured.rows}:
        write_json(folder / INDEX, found)


def _measured(folder: Path, track: Track, names: Iterable[str]) -> Track:
    import numpy as np

    files = {name: folder / f"{name}.npy" for name in sorted(names)}
    shapes = {name: np.load(file, mmap_mode="r").shape for name, file in files.items() if file.is_file()}
    sizes = {shape[1]: name for name, shape in shapes.items()}
    if len(sizes) > 1:
        told = " and ".join(f"{size} in {name}" for size, name in sorted(sizes.items()))
        raise DataError(f"the track {folder.name} has rows of {told}; all must be of one size")
    return replace(track, size=next(iter(sizes), 0), rows={name: shape[0] for name, shape in shapes.items()})
