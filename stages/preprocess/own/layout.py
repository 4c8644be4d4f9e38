"""Where the files of one's own data are, by name alone: no file is opened but a `.gltf`, which names its buffers.

What cannot be used is listed beside what can: names that do not fit the pattern, motion without sound, two files of
one name. `pipe data check` tells of it; `prepare` skips it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faces.errors import DataError
from faces.gltf_files import beside
from stages.kinds.sequences import sequence_id
from stages.preprocess import given_transcripts
from stages.preprocess.own.description import Description, Files
from stages.preprocess.own.names import Pattern
from stages.preprocess.sound_endings import ENDINGS as SOUND

Name = tuple[str, str]

MESHES = (".obj", ".ply")
MOTION = {"npy": (".npy",), "npz": (".npz",), "gltf": (".glb", ".gltf"), "csv": (".csv",)}
"""Form → endings; "meshes" are folders."""
WORDS = ".txt"
LONGEST_GLTF = 1 << 28


@dataclass(frozen=True)
class Layout:
    """motion, sound: sequence → file, or folder of frames. odd: file → why its name cannot be used. twice: file → the
    one of the same name that is taken. shared: what all sequences hang on, called as the engine speaks of it; others:
    what none does. texts: id → the file beside its sound that says what it says.
    """

    motion: dict[Name, Path]
    sound: dict[Name, Path]
    odd: dict[Path, str] = field(default_factory=dict)
    twice: dict[Path, Path] = field(default_factory=dict)
    shared: dict[str, Path] = field(default_factory=dict)
    others: dict[str, Path] = field(default_factory=dict)
    texts: dict[str, Path] = field(default_factory=dict)

    def files(self, skip: Sequence[str]) -> dict[str, Path]:
        """All that is read, but for the sequences that `skip` names."""
        found = dict(self.others) | self.shared
        for key, name in self._read(skip):
            found[f"the motion of {key}"] = self.motion[name]
            found |= {f"the buffer {number} of {key}": path for number, path in enumerate(buffers(self.motion[name]))}
            if name in self.sound:
                found[f"the sound of {key}"] = self.sound[name]
            if key in self.texts:
                found[f"the words of {key}"] = self.texts[key]
        return found

    def parts(self, skip: Sequence[str]) -> dict[str, list[str]]:
        """id → the names of its own files in `files`; of those that have sound."""
        return {
            key: [f"the motion of {key}", f"the sound of {key}"]
            + [f"the buffer {number} of {key}" for number, _ in enumerate(buffers(self.motion[name]))]
            for key, name in self._read(skip)
            if name in self.sound
        }

    def _read(self, skip: Sequence[str]) -> list[tuple[str, Name]]:
        keys = {sequence_id(*name): name for name in self.motion}
        return [(key, name) for key, name in keys.items() if key not in skip]


def find(description: Description) -> Layout:
    """Look for everything that the description names."""
    files = description.files
    odd, twice = dict[Path, str](), dict[Path, Path]()
    apart = tuple(path for path in (files.templates, files.topology, files.regions, files.basis) if path)
    motion = _named(motion_candidates(files.motion, files.form, apart), files.motion, files.pattern, odd, twice)
    sound = _named(walk(files.sound, SOUND, apart), files.sound, files.sound_pattern, odd, twice)
    shared = {"the basis of blendshapes": files.basis} if files.form == "csv" and files.basis else {}
    if files.topology:
        shared["the mesh of the topology"] = files.topology
    others = {
        f"the {what}": path for what, path in (("templates", files.templates), ("regions", files.regions)) if path
    }
    others |= given_transcripts.sources(description.folder)
    beside = {sequence_id(*name): path.with_suffix(WORDS) for name, path in sound.items() if name in motion}
    texts = {key: path for key, path in beside.items() if path.is_file()}
    if not motion:
        others["at least one sequence"] = files.motion / f"{files.pattern.text}{_example(files)}"
    return Layout(motion, sound, odd, twice, shared, others, texts)


def _example(files: Files) -> str:
    return MOTION.get(files.form, ("/frame_001.obj",))[0]


def motion_candidates(folder: Path, form: str, apart: Sequence[Path] = ()) -> Iterator[Path]:
    """Files of a form below a folder; for "meshes" the folders that hold frames. apart: what is something else."""
    if form == "meshes":
        yield from (path for path, files in frame_folders(folder, apart) if len(files) > 1)
    else:
        yield from walk(folder, MOTION[form], apart)


def walk(folder: Path, endings: Sequence[str], apart: Sequence[Path] = ()) -> Iterator[Path]:
    """Files with one of these endings below a folder, in order; hidden ones are not looked at."""
    away = {os.path.abspath(path) for path in apart}
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and os.path.abspath(f"{parent}/{name}") not in away
        )
        for file in sorted(files):
            path = Path(parent, file)
            if not file.startswith(".") and path.suffix.lower() in endings and os.path.abspath(path) not in away:
                yield path


def frame_folders(folder: Path, apart: Sequence[Path] = ()) -> Iterator[tuple[Path, list[Path]]]:
    """Folders that hold meshes whose names end in numbers, with these."""
    found = dict[Path, list[Path]]()
    for file in walk(folder, MESHES, apart):
        if re.search(r"\d$", file.stem):
            found.setdefault(file.parent, []).append(file)
    yield from sorted(found.items())


def _named(
    paths: Iterator[Path], folder: Path, pattern: Pattern, odd: dict[Path, str], twice: dict[Path, Path]
) -> dict[Name, Path]:
    found = dict[Name, Path]()
    for path in paths:
        inside = path.relative_to(folder)
        name = pattern.split((inside if path.is_dir() else inside.with_suffix("")).as_posix())
        if name is None:
            odd[path] = f"its name does not fit the pattern {pattern.text!r}"
        elif reason := unfit(name):
            odd[path] = reason
        elif name in found:
            twice[path] = found[name]
        else:
            found[name] = path
    return found


def unfit(name: Name) -> str:
    """Why files cannot be called after a name; "" where they can."""
    try:
        sequence_id(*name)
    except DataError as error:
        return str(error).removeprefix("the data set holds ")
    return ""


def buffers(file: Path) -> list[Path]:
    """The files beside a `.gltf` that it names, in order; none for anything else, or where it cannot be read."""
    if file.suffix.lower() != ".gltf":
        return []
    try:
        if file.stat().st_size > LONGEST_GLTF:
            return []
        told: Any = json.loads(file.read_text(encoding="utf-8"))
        uris = [buffer["uri"] for buffer in told["buffers"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    found = [beside(file.parent, uri) for uri in uris if isinstance(uri, str) and not uri.startswith("data:")]
    return [path for path in found if path]


def unpaired(layout: Layout) -> Mapping[str, list[Path]]:
    """ "motion" and "sound": the files that have no partner."""
    return {
        "motion": [path for name, path in layout.motion.items() if name not in layout.sound],
        "sound": [path for name, path in layout.sound.items() if name not in layout.motion],
    }
