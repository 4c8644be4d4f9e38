"""Where a user's BIWI files are: the raw layout of the corpus, or the one that the published scripts leave behind.

`find` looks at names alone and opens no file: the engine calls it to plan. What is missing is named where it is
expected, so that the plan says so; whether what is there is any good is found out by `recordings`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from faces.errors import DataError
from faces.region_table import files_in

if TYPE_CHECKING:
    from stages.preprocess.biwi import Settings
    from stages.preprocess.biwi.variants import Numbering

Name = tuple[str, str]

FRAME_FOLDERS = ("faces", "vertices_npy")
SOUND_FOLDERS = ("wav", "audio")
VIDEO_FOLDER, VIDEOS = "videos", (".flv",)
CUT = "_cut"
"""What the corpus adds to the names of its wav files."""
RAW_TEMPLATES, READY_TEMPLATES = ("rigid_scans",), ("templates.pkl", "templates.npz")
TOPOLOGY = "BIWI.ply"
ARRAY = ".npy"
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")
MESHES = (".obj", ".ply")
REGION_NAMES = {"lve": "lips", "BIWI_lip": "lips", "lip": "lips", "fdd": "upper_face"}
"""Published names of region files, of CodeTalker, SelfTalk, TalkingStyle → ours; the first that is there wins."""


@dataclass(frozen=True)
class Layout:
    """What there is, by name.

    frames: where motion is looked for. motion: sequence → a folder of frames, an archive of them or an array. sound:
    sequence → a wav file or a video. templates: a pickle, an archive of arrays, or a folder; scans: the meshes in that.
    topology: a mesh, or None where the templates have the triangles. regions: name → file. What is not read, and is
    spoken of only: beside, how many archives lie beside the same sequence unpacked; others, how many sequences
    `sentences` leaves out.
    """

    frames: Path
    motion: dict[Name, Path]
    sound: dict[Name, Path]
    templates: Path
    scans: dict[str, Path]
    topology: Path | None
    regions: dict[str, Path]
    beside: int
    others: int

    def files(self, skip: Sequence[str]) -> dict[str, Path]:
        """All that is read but for the sequences that `skip` names, called as the engine speaks of a missing file:
        "<path> is missing; <this> must be there".
        """
        read = {"_".join(name): name for name in self.motion if "_".join(name) not in skip}
        found = {f"the frames of {key}": self.motion[name] for key, name in read.items()}
        found |= {f"the sound of {key}": self.sound[name] for key, name in read.items() if name in self.sound}
        found |= {f"the template of {subject}": path for subject, path in self.scans.items()}
        found |= {f"regions/{region}": path for region, path in self.regions.items()}
        if not self.motion:
            found[f"the frames, or ready arrays in {FRAME_FOLDERS[1]},"] = self.frames
        if not self.scans:
            found["the templates, or templates.pkl beside ready arrays,"] = self.templates
        if self.topology:
            found["the mesh of the topology (or name one with `topology`)"] = self.topology
        return found


def find(settings: Settings) -> Layout:
    """Look for everything below `settings.root`, or where `settings` says."""
    root, variant = Path(settings.root), settings.published
    frames = Path(settings.frames) if settings.frames else _first(root, FRAME_FOLDERS)
    everything, beside = _motion(frames, variant.numbering)
    wanted = re.compile(variant.patterns[settings.which])
    motion = {name: path for name, path in everything.items() if wanted.fullmatch(name[1])}
    sound = {name: path for name, path in _sound(settings).items() if wanted.fullmatch(name[1])}
    templates = Path(settings.templates) if settings.templates else _templates(root, frames)
    subjects = {subject for subject, _ in motion}
    scans = {file.stem: file for file in _files(templates, MESHES) if file.stem in subjects}
    return Layout(
        frames=frames,
        motion=motion,
        beside=beside,
        others=len(everything.keys() - motion.keys()),
        sound=sound,
        templates=templates,
        scans=scans,
        topology=Path(settings.topology) if settings.topology else None if scans else root / TOPOLOGY,
        regions=_regions(Path(settings.regions) if settings.regions else None, root),
    )


def _first(root: Path, names: tuple[str, ...]) -> Path:
    """The first that is there; the first of all where none is, since that is what a message should name."""
    return next((root / name for name in names if (root / name).exists()), root / names[0])


def _templates(root: Path, frames: Path) -> Path:
    ready = frames.name == FRAME_FOLDERS[1]
    return _first(root, READY_TEMPLATES + RAW_TEMPLATES if ready else RAW_TEMPLATES + READY_TEMPLATES)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _files(folder: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    return (Path(entry.path) for entry in _entries(folder) if entry.name.lower().endswith(endings))


def _named(stem: str) -> Name:
    """("F1", "e01") for "F1_e01"."""
    subject, _, sentence = stem.rpartition("_")
    return subject, sentence


def is_archive(path: Path) -> bool:
    """Whether frames stay packed in it."""
    return path.name.lower().endswith(ARCHIVES)


def _motion(folder: Path, numbering: Numbering) -> tuple[dict[Name, Path], int]:
    """Folders and archives <subject>/<sentence>, arrays <subject>_<sentence>.npy; a folder wins over the same packed.
    And how many archives that leaves aside.
    """
    plain, packed = dict[Name, Path](), dict[Name, Path]()
    for (subject, sentence), entry in _candidates(folder):
        path, name = Path(entry.path), (subject, numbering(sentence))
        if not (entry.is_dir() or path.suffix == ARRAY or is_archive(path)):
            continue
        found = packed if is_archive(path) and not entry.is_dir() else plain
        if name in found:
            raise DataError(f"{folder} holds {'_'.join(name)} twice, {found[name].name} and {path.name}; remove one")
        found[name] = path
    return packed | plain, len(packed.keys() & plain.keys())


def _candidates(folder: Path) -> Iterator[tuple[Name, os.DirEntry[str]]]:
    for entry in _entries(folder):
        if entry.is_dir():
            for inner in _entries(Path(entry.path)):
                yield (entry.name, _stem(inner)), inner
        else:
            yield _named(_stem(entry)), entry


def _stem(entry: os.DirEntry[str]) -> str:
    """An entry's name without its ending: sentences have no dots."""
    return entry.name if entry.is_dir() else entry.name.partition(".")[0]


def _sound(settings: Settings) -> dict[Name, Path]:
    """<subject>_<sentence>.wav, or …_cut.wav, or .flv; what comes first wins."""
    root, variant, found = Path(settings.root), settings.published, dict[Name, Path]()
    folders = [Path(settings.audio)] if settings.audio else [root / folder for folder in SOUND_FOLDERS]
    files = [file for folder in folders for file in _files(folder, (".wav",))]
    if variant.cut_first:
        files.sort(key=lambda file: not file.stem.endswith(CUT))
    files += _files(Path(settings.videos) if settings.videos else root / VIDEO_FOLDER, VIDEOS)
    for file in files:
        subject, sentence = _named(file.stem.removesuffix(CUT))
        found.setdefault((subject, variant.numbering(sentence)), file)
    return found


def _regions(folder: Path | None, root: Path) -> dict[str, Path]:
    """Lists of indices by our names. In root itself only published ones are looked for: other texts may lie there."""
    if folder is not None:
        # never there: the engine then says that the folder, or what it should hold, is missing
        files = files_in(folder) or [folder / "<region>.txt"]
    else:
        files = files_in(root / "regions")
        files = files or [file for file in files_in(root) if file.stem in REGION_NAMES]
    plain = {file.stem: file for file in files}
    if len(plain) < len(files):
        twice = next(file for file in files if plain[file.stem] != file)
        raise DataError(f"{twice} and {plain[twice.stem].name} are both the region {twice.stem}; remove one")
    return {_our_name(stem, plain): file for stem, file in plain.items()}


def _our_name(stem: str, there: dict[str, Path]) -> str:
    ours = REGION_NAMES.get(stem, stem)
    first = next((name for name in REGION_NAMES if REGION_NAMES[name] == ours and name in there), stem)
    return stem if ours in there or stem != first else ours
