"""Where a user's Multiface files are and how they are numbered, by name alone: the engine calls `find` to plan.

Published sequences are called <speaker 1-13>_<sentence 01-50>. The 50 sentences are numbered in the order of their
folders' names, without regard to case and with "_" after the letters; here of all speakers together, so that a sentence
that one of them lacks shifts no number. Of the speakers' numbers no more is known than that there are 13.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stages.preprocess.multiface import Settings

Name = tuple[str, str]

ARRAYS = "vertices_npy"
MESHES = "tracked_mesh"
SENTENCE = "SEN_"
NEUTRAL = "Neutral_Eyes_Open"
"""How the name of the take ends of which MeshTalk takes the templates (its issue 24)."""
READY_TEMPLATES = ("templates.pkl", "templates.npz")
SOUND_FOLDERS = ("wav", "audio")


@dataclass(frozen=True)
class Layout:
    """ready: arrays, rather than frames. motion: sequence → array or folder. sound: sequence → file. table: ready
    templates, or None; neutral: speaker → folder of a neutral take. speakers: number → folder, of those that have
    meshes. unnamed: folders that `speakers` leaves out. sentences: in the order of their numbers. others: how many
    takes are no sentences. regions: name → file.
    """

    ready: bool
    motion: dict[Name, Path]
    sound: dict[Name, Path]
    table: Path | None
    neutral: dict[str, Path]
    removed: Path
    topology: Path
    speakers: dict[str, str]
    unnamed: Sequence[str]
    sentences: Sequence[str]
    others: int
    regions: dict[str, Path]

    def files(self, skip: Sequence[str]) -> dict[str, Path]:
        """All that is read, called as the engine speaks of a missing file."""
        read = {"_".join(name): name for name in self.motion if "_".join(name) not in skip}
        found = {f"the frames of {key}": self.motion[name] for key, name in read.items()}
        found |= {f"the sound of {key}": self.sound[name] for key, name in read.items() if name in self.sound}
        found |= {f"regions/{region}": file for region, file in self.regions.items()}
        found["MeshTalk's face_template.obj (or name it with `topology`)"] = self.topology
        if self.table:
            found["the templates"] = self.table
        else:
            found |= {f"the template of {speaker}": folder for speaker, folder in self.neutral.items()}
        if not self.ready:
            found[REMOVED] = self.removed
        return found


REMOVED = (
    "the list of vertices to take away, which is published in the folder multiface2meshtalk of "
    "github.com/facebookresearch/meshtalk (or name it with `removed`),"
)


def find(settings: Settings) -> Layout:
    """Look for everything below `settings.root`."""
    root = Path(settings.root)
    ready = (root / ARRAYS).is_dir()
    table = Path(settings.templates) if settings.templates else _first(root, READY_TEMPLATES)
    folders = [] if ready else [folder for folder in _folders(root) if (root / folder / MESHES).is_dir()]
    order = settings.speakers or folders
    takes = {folder: _folders(root / folder / MESHES) for folder in folders if folder in order}
    names = {take for found in takes.values() for take in found if take.startswith(SENTENCE)}
    sentences = sorted(names, key=str.upper)  # in ASCII "_" is after the capitals
    speakers = {str(k): folder for k, folder in enumerate(order, start=1) if folder in takes}
    motion = {
        (number, f"{sentences.index(take) + 1:02d}"): root / folder / MESHES / take
        for number, folder in speakers.items()
        for take in takes[folder]
        if take in names
    }
    return Layout(
        ready=ready,
        motion=_arrays(root / ARRAYS) if ready else motion,
        sound=_ready_sound(root) if ready else _sound(root, motion, speakers),
        table=root / READY_TEMPLATES[0] if ready and table is None else table,
        neutral=_neutral(root, speakers, takes),
        removed=Path(settings.removed) if settings.removed else root / "removed_vertices.txt",
        topology=Path(settings.topology) if settings.topology else root / "face_template.obj",
        speakers=speakers,
        unnamed=[folder for folder in folders if folder not in order],
        sentences=sentences,
        others=sum(take not in names for found in takes.values() for take in found),
        regions={file.stem: file for file in _regions(root, settings.regions)},
    )


def _first(root: Path, names: tuple[str, ...]) -> Path | None:
    return next((root / name for name in names if (root / name).exists()), None)


def _folders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as found:
            return sorted(entry.name for entry in found if entry.is_dir() and not entry.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _arrays(folder: Path) -> dict[Name, Path]:
    return {_named(file.stem): file for file in sorted(folder.glob("*.npy"))}


def _named(stem: str) -> Name:
    return stem.rpartition("_")[0], stem.rpartition("_")[2]


def _ready_sound(root: Path) -> dict[Name, Path]:
    found = dict[Name, Path]()
    for folder in SOUND_FOLDERS:
        for file in sorted((root / folder).glob("*.wav")):
            found.setdefault(_named(file.stem), file)
    return found


def _sound(root: Path, motion: dict[Name, Path], speakers: dict[str, str]) -> dict[Name, Path]:
    """<speaker>/audio/<take>.wav; case, and "-" or "_", make no difference."""
    found = dict[Name, Path]()
    for number, folder in speakers.items():
        files = {_plain(file.stem): file for file in sorted((root / folder / "audio").glob("*.wav"))}
        for name, take in motion.items():
            if name[0] == number and (file := files.get(_plain(take.name))):
                found[name] = file
    return found


def _plain(name: str) -> str:
    return re.sub(r"[-_]+", "_", name).lower()


def _neutral(root: Path, speakers: dict[str, str], takes: dict[str, list[str]]) -> dict[str, Path]:
    def places() -> Iterator[tuple[str, Path]]:
        for number, folder in speakers.items():
            for take in (take for take in takes[folder] if take.endswith(NEUTRAL)):
                yield number, root / folder / MESHES / take

    return dict(reversed(list(places())))  # of several, the first by name


def _regions(root: Path, named: str) -> list[Path]:
    folder = Path(named) if named else root / "regions"
    files = sorted(folder.glob("*.txt"))
    # never there: the engine then says that the folder, or what it should hold, is missing
    return files or ([folder / "<region>.txt"] if named else [])
