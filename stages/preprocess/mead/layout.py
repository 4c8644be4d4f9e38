"""Where a user's 3D-MEAD files are, by name alone: the engine calls `find` to plan, and no file is opened.

A sequence is called <subject>_<sentence number>_<emotion 0-7>_<level 0-2>, as ProbTalk3D names its files; what lies in
MEAD's own folders, <subject>/front/<emotion>/level_<1-3>/<sentence number>, is called so too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from faces.errors import DataError
from stages.preprocess.given_regions import GivenRegions
from stages.preprocess.sound_endings import ENDINGS

if TYPE_CHECKING:
    from stages.preprocess.mead import Settings

Name = tuple[str, str]

EMOTIONS = ("neutral", "happy", "sad", "surprised", "fear", "disgusted", "angry", "contempt")
"""In the order of their numbers."""
RECONSTRUCTED = "shape_pose_cam.hdf5"
VERTICES, PARAMETERS = "vertices_npy", "param"
FOLDERS = (VERTICES, PARAMETERS, "EMICA-MEAD_flame2020")
OWN_NAME = re.compile(r"([^_]+)_(\w+_[0-7]_[0-2])")
"""Of a file, without its ending: subject and sentence."""
OWN_PLACE = re.compile(r"(?:.*/)?(?!video/)([^/]+)(?:/video)?/(?:front|audio)/([a-z]+)/level_([123])/([^/]+)")
"""Below a folder: subject, emotion, level and number."""


@dataclass(frozen=True)
class Layout:
    """motion: sequence → an array or an HDF5 file. parametric: whether these are parameters. others: how many sequences
    `emotions` and `levels` leave out. sound: sequence → file. templates, topology: of vertices.
    """

    folder: Path
    motion: dict[Name, Path]
    parametric: bool
    others: int
    sound: dict[Name, Path]
    flame: Path
    templates: Path
    topology: Path
    regions: GivenRegions

    def files(self, skip: Sequence[str]) -> dict[str, Path]:
        """All that is read, called as the engine speaks of a missing file."""
        read = {"_".join(name): name for name in self.motion if "_".join(name) not in skip}
        found = {f"the motion of {key}": self.motion[name] for key, name in read.items()}
        found |= {f"the sound of {key}": self.sound[name] for key, name in read.items() if name in self.sound}
        if not self.motion:
            found["the motion"] = self.folder
        if self.parametric:
            found["the FLAME model, from its owners (or name it with `flame`),"] = self.flame
        else:
            found["the templates (or name them, or one mesh for all, with `templates`)"] = self.templates
            found["the mesh of the topology (or name one with `topology`)"] = self.topology
        return found | self.regions.sources()

    def model_of(self, subject: str, skip: Sequence[str]) -> Name:
        """The sequence that a subject's own shape is taken from: its first, by name."""
        return min(name for name in self.motion if name[0] == subject and "_".join(name) not in skip)


def find(settings: Settings) -> Layout:
    """Look for everything below `settings.root`, or where `settings` says."""
    root = Path(settings.root)
    folder = Path(settings.motion) if settings.motion else _first(root, FOLDERS, root)
    everything, reconstructed = _motion(folder)
    motion = {name: file for name, file in everything.items() if _wanted(name, settings)}
    auto = reconstructed or folder.name == PARAMETERS
    return Layout(
        folder=folder,
        motion=motion,
        parametric=auto if settings.form == "auto" else settings.form == "parameters",
        others=len(everything) - len(motion),
        sound=_sound([Path(settings.audio)] if settings.audio else [root / "wav", root / "audio", root]),
        flame=Path(settings.flame) if settings.flame else root / "generic_model.pkl",
        templates=_given(settings.templates, root, ("templates.pkl", "templates.npz")),
        topology=_given(settings.topology, root, ("FLAME_sample.ply", "templates/FLAME_sample.ply")),
        regions=GivenRegions.of(root, settings.masks, settings.regions),
    )


def told(sentence: str) -> tuple[str, int] | None:
    """Emotion and level of a sentence, where its name tells them."""
    found = re.search(r"_([0-7])_([0-2])$", sentence)
    return (EMOTIONS[int(found[1])], int(found[2])) if found else None


def _wanted(name: Name, settings: Settings) -> bool:
    unknown = set(settings.emotions) - set(EMOTIONS)
    if unknown:
        raise DataError(f"emotions names {', '.join(sorted(unknown))}; there are {', '.join(EMOTIONS)}")
    emotion, level = told(name[1]) or (None, None)
    right = not settings.emotions or emotion in settings.emotions
    return right and (not settings.levels or level in settings.levels)


def _given(named: str, root: Path, names: tuple[str, ...]) -> Path:
    return Path(named) if named else _first(root, names, root / names[0])


def _first(root: Path, names: tuple[str, ...], otherwise: Path) -> Path:
    return next((root / name for name in names if (root / name).exists()), otherwise)


def _walk(folder: Path) -> Iterator[tuple[str, str]]:
    """All files below a folder, as (folder relative to it, name), in order."""
    for place, folders, files in os.walk(folder):
        folders.sort()
        relative = os.path.relpath(place, folder)
        yield from ((relative, file) for file in sorted(files) if not file.startswith("."))


def _motion(folder: Path) -> tuple[dict[Name, Path], bool]:
    """Arrays in the folder itself, or else EMOTE's files below it; and whether it is these."""
    arrays = {_named(file.stem): file for file in sorted(folder.glob("*.npy"))} if folder.is_dir() else {}
    if arrays:
        return arrays, False
    found = dict[Name, Path]()
    for place, file in _walk(folder):
        if file == RECONSTRUCTED and (name := _placed(place)) and "/front/" in f"/{place}/":
            found[name] = folder / place / file
    return found, bool(found)


def _sound(folders: list[Path]) -> dict[Name, Path]:
    """Files called after their sequence, or in MEAD's own folders. The first folder wins, in it the first ending."""
    found = dict[Name, Path]()
    for folder in folders:
        files = [(place, *os.path.splitext(file)) for place, file in _walk(folder)]
        for wanted in ENDINGS:
            for place, stem, ending in (file for file in files if file[2].lower() == wanted):
                name = _placed(f"{place}/{stem}") or (_named(stem) if place == "." else None)
                if name:
                    found.setdefault(name, folder / place / f"{stem}{ending}")
    return found


def _named(stem: str) -> Name:
    """A file's name without its ending; where it tells no emotion, the subject is what stands before the last "_"."""
    found = OWN_NAME.fullmatch(stem)
    return (found[1], found[2]) if found else (stem.rpartition("_")[0], stem.rpartition("_")[2])


def _placed(place: str) -> Name | None:
    found = OWN_PLACE.fullmatch(place)
    if not found or found[2] not in EMOTIONS:
        return None
    return found[1], f"{found[4]}_{EMOTIONS.index(found[2])}_{int(found[3]) - 1}"
