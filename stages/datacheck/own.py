"""A user's folder, read so that one damaged file hides nothing of the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from faces.blendshapes import Basis, read_basis
from faces.errors import DataError
from stages.datacheck.corpus import Facts, Held, Name, Reader, by_rule, shown, told
from stages.datacheck.damage import diagnose
from stages.datacheck.findings import WARNING, Finding
from stages.preprocess.container_sound import read_sound
from stages.preprocess.own import Settings
from stages.preprocess.own.heads import Heads, read_heads
from stages.preprocess.own.layout import walk
from stages.preprocess.own.motion import Archive, Frames, Motion, Weights, open_motion
from stages.preprocess.own.prepare import read_regions
from stages.preprocess.region_files import Regions
from stages.preprocess.sound import Clip, Unusable
from stages.preprocess.split_file import Splits

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")
RENAME = "rename it, or change pattern in dataset.toml"
SLACK = 0.05
HEADROOM = 1.5
PERCENT = 20.0


class OwnFolder:
    """Implements `Corpus`. DataError where dataset.toml cannot be understood."""

    def __init__(self, settings: Settings) -> None:
        self.root, self.description, self.layout = Path(settings.root), settings.description, settings.layout
        self.skip = set(settings.skip)
        names = sorted(self.layout.motion.keys() | self.layout.sound.keys())
        self.names: Sequence[Name] = [name for name in names if "_".join(name) not in self.skip]
        self._problems = list[Finding]()
        heads = self._heads()
        topology = self.description.files.topology
        file, splits = shown(settings.file, self.root), Splits(self.description.splits)
        self.facts = Facts(
            self.description.fps, file, self.description.units, self.description.up, self.description.front,
            heads.model if heads else None, shown(topology, self.root) if topology else "the mesh with the triangles",
            splits.subjects, by_rule(splits), file, self._regions(heads),
        )  # fmt: skip

    def problems(self) -> Iterable[Finding]:
        yield from self._problems
        for path, reason in self.layout.odd.items():
            yield Finding(self._shown(path), "NAME", reason, RENAME, WARNING)
        for path, taken in self.layout.twice.items():
            yield Finding(
                self._shown(path), "TWICE", f"{self._shown(taken)} has the same name and is taken", "remove one"
            )
        for path in walk(self.root, ARCHIVES):
            code, what, mend = diagnose(path) or ("ARCHIVE", "an archive, which is not looked into", "unpack it")
            yield Finding(self._shown(path), code, what, mend, WARNING)

    def place(self, name: Name) -> str:
        path = self.layout.motion.get(name) or self.layout.sound[name]
        return self._shown(path)

    def frame_place(self, name: Name, frame: int) -> tuple[str, int | None]:
        path = self.layout.motion[name]
        return (
            (shown(Path(self._opened(name).place(frame)), self.root), None)
            if path.is_dir()
            else (self.place(name), frame)
        )

    def motion(self, name: Name) -> tuple[Reader | None, list[Finding]]:
        if name not in self.layout.motion:
            partner = "put its motion there, or remove the sound"
            return None, [
                Finding(self._shown(self.layout.sound[name]), "NO-MOTION", "no motion of this name", partner, WARNING)
            ]
        try:
            motion = self._opened(name)
            found = list(self._remarked(name, motion))
            return _whole(motion), found
        except DataError as error:
            return None, [self.unreadable(name, error)]

    def unreadable(self, name: Name, error: DataError) -> Finding:
        return self._unreadable(self.layout.motion[name], error)

    def sound_place(self, name: Name) -> str:
        return self._shown(self.layout.sound[name])

    def sound(self, name: Name) -> tuple[Clip | None, list[Finding]]:
        if name not in self.layout.sound:
            partner = "put its sound there, or remove the motion"
            return None, [Finding(self.place(name), "NO-SOUND", "no sound of this name", partner, WARNING)]
        file = self.layout.sound[name]
        damage = diagnose(file)
        found = [Finding(self._shown(file), *damage)] if damage else []
        try:
            return read_sound(file), found
        except Unusable as reason:
            code = "SILENT" if "silent" in str(reason) else "EMPTY"
            what = str(reason).removeprefix("its sound is ")
            return None, found or [
                Finding(self._shown(file), code, f"the sound is {what}", "record it again or remove both")
            ]
        except DataError as error:
            return None, found or [self._unreadable(file, error)]

    @cached_property
    def basis(self) -> Basis:
        assert self.description.files.basis  # a description without it is refused
        return read_basis(self.description.files.basis)

    def _opened(self, name: Name) -> Motion:
        return open_motion(self.layout.motion[name], self.description, lambda: self.basis)

    def _heads(self) -> Heads | None:
        if not self.layout.motion:
            motion = self._shown(self.description.files.motion)
            what = f"no sequence of the form {self.description.files.form!r} fits the pattern"
            self._problems.append(Finding(motion, "NAME", what, "correct [files] in dataset.toml"))
            return None
        try:
            return read_heads(self.description, self.layout, self._opened, lambda: self.basis)
        except DataError as error:
            files = self.description.files
            place = files.topology or files.templates or files.basis or self.root / "dataset.toml"
            damage = diagnose(place) if place.is_file() else None
            what, mend = told(error, self.root, place)
            self._problems.append(Finding(self._shown(place), *(damage or ("HEADS", what, mend))))
            return None

    def _regions(self, heads: Heads | None) -> Regions:
        path = self.description.files.regions
        try:
            return read_regions(path, len(heads.model.vertices)) if heads else {}
        except DataError as error:
            self._problems.append(Finding(self._shown(path or self.root), "REGION", *told(error, self.root, path)))
            return {}

    def _remarked(self, name: Name, motion: Motion) -> Iterator[Finding]:
        place = self.place(name)
        for remark in motion.remarks:
            yield Finding(place, "IGNORED", remark, "nothing to do if that is meant", WARNING)
        if isinstance(motion, Weights):
            yield from _clock(place, motion, self.description.fps)
            yield from _weights(place, motion)
        if isinstance(motion, Frames) and motion.frames and (first := motion.files[0]):
            yield from self._triangles(name, motion, first)

    def _triangles(self, name: Name, motion: Frames, first: str) -> Iterator[Finding]:
        model = self.facts.model
        faces = motion.mesh().faces
        if model is not None and len(faces) and not np.array_equal(faces, model.faces):
            file = shown(motion.path / first, self.root)
            what = f"other triangles than {self.facts.model_place}"
            yield Finding(file, "SHAPE", what, "export it with the order kept", WARNING)

    def _unreadable(self, path: Path, error: DataError) -> Finding:
        damage = diagnose(path) if path.is_file() else None
        if damage is None and path.is_dir() and "missing between" in str(error):
            return Finding(self._shown(path), "FRAMES", *told(error, self.root, path))
        return Finding(self._shown(path), *(damage or ("UNREADABLE", *told(error, self.root, path))))

    def _shown(self, path: Path) -> str:
        return shown(path, self.root)


def _whole(motion: Motion) -> Reader:
    """An archive is unpacked once, not for every few frames; all others are read as they are asked for."""
    return Held(motion.read(range(motion.frames))) if isinstance(motion, Archive) else motion


def _clock(place: str, motion: Weights, fps: float) -> Iterator[Finding]:
    """A table that counts its rows tells of those that were dropped."""
    curves = motion.curves
    if curves.clock is None or len(curves.clock) < 2 or not np.isfinite(curves.clock).all():
        return
    steps = np.diff(curves.clock)
    steps *= fps if curves.unit == "s" else fps / curves.rate if curves.rate else 1 / max(np.median(steps), 1e-9)
    mend = "fill them in or record it again: all that follows is early against the sound"
    gaps = np.flatnonzero(steps > 1.5)
    if len(gaps):
        lost = int(np.round(steps[gaps] - 1).sum())
        yield Finding(place, "FRAMES", f"{lost} frames are missing in {len(gaps)} places", mend, frame=int(gaps[0]))
    if (steps <= 0).any():
        row = int(np.argmax(steps <= 0)) + 1
        yield Finding(place, "FRAMES", "time does not go on", "sort the rows, remove repeated ones", frame=row)


def _weights(place: str, motion: Weights) -> Iterator[Finding]:
    known = [k for k, name in enumerate(motion.curves.names) if name in motion.basis.deltas]
    weights = motion.curves.weights[:, known]
    if not weights.size or not np.isfinite(weights).all():
        return
    low, high = float(weights.min()), float(weights.max())
    if low < -SLACK or high > HEADROOM:
        frame = int(np.argmax(((weights < -SLACK) | (weights > HEADROOM)).any(axis=1)))
        mend = "they look like percent: divide by 100" if high > PERCENT else "see whether that is meant"
        yield Finding(place, "WEIGHTS", f"weights from {low:.3g} to {high:.3g}", mend, WARNING, frame)
