"""FaceTalk's folders as `Recordings`, of which `stages.preprocess.prepare` makes the artifact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.ply import Mesh, read_ply
from pipeline.stage import Job
from stages.kinds.card import Check
from stages.kinds.sequences import sequence_id
from stages.kinds.tracks import EXPRESSION, Track
from stages.preprocess import prepare as shared
from stages.preprocess.facetalk import Settings
from stages.preprocess.facetalk.features import read_features
from stages.preprocess.facetalk.frames import open_frames, read_codes, read_meshes
from stages.preprocess.facetalk.layout import CODES, FEATURES, HEADS, MESHES, SOUND, TEMPLATE, Layout, find
from stages.preprocess.frame_files import FrameFiles
from stages.preprocess.prepare import Choice, Name, Sound, first_lines, leave_out
from stages.preprocess.sound import Clip, Unusable, read_wav
from stages.preprocess.split_file import Splits, read_splits

VERTICES, CODE = 5023, 200
SPEECH = "speech_features"
"""The tracks."""
TRACKS = {
    CODES: (EXPRESSION, Track("expression codes of the head model NPHM", framewise=True)),
    FEATURES: (SPEECH, Track("features of the speech as FaceTalk's authors computed them", framewise=False)),
}
SIZES = (("m", 0.1, 0.6), ("nphm", 0.6, 2.4), ("mm", 100.0, 600.0))
"""Units, and how high a head is in them at least and at most. NPHM's are FLAME's metres times 4."""
APART_S = 0.1


def prepare(settings: Settings, job: Job, *, dataset: str, step: int, limit: int) -> None:
    """Fill `job.out`. Arguments as in `stages.preprocess.Dataset.prepare`; `dataset` is the name in the index."""
    data, splits = recordings(settings)
    choice = Choice(dataset, settings.source, splits, settings.skip, step, limit)
    shared.prepare(data, choice, job, threads=job.workers)


def recordings(settings: Settings) -> tuple[FaceTalk, Splits]:
    """The data opened, and the splits."""
    data = FaceTalk(settings, find(settings))
    return data, read_splits(settings.split_file).among(data.templates)


class FaceTalk:
    """Implements `Recordings` and `Tracked`. Of motion and sound nothing is held in memory.

    meshes: sequence → the template in its folder. A subject's template is that of its first sequence.
    """

    fps = Settings.native_fps
    up = "y"

    def __init__(self, settings: Settings, layout: Layout) -> None:
        self.root, self.layout = Path(settings.root), layout
        if not layout.folders:
            raise DataError(
                f"{settings.root} holds no sequence of FaceTalk's; give the folder that holds the folders "
                "<ID>_<sequence> as root"
            )
        self.names: Sequence[Name] = sorted(layout.folders)
        read = [name for name in self.names if "_".join(name) not in settings.skip]
        self.opened = open_frames(layout, read)
        self.meshes = {name: read_ply(file) for name in read if (file := layout.place(name, TEMPLATE))}
        if not self.meshes:
            raise DataError(f"{settings.root}: no sequence has a {layout.parts[TEMPLATE]}, the template of its head")
        first = self.meshes[min(self.meshes)]
        self.faces, self.vertices = first.faces, len(first.vertices)
        for name in self.meshes:
            self._check_topology(name, first)
        owners = {name[0]: name for name in sorted(self.meshes, reverse=True)}
        self.templates: Mapping[str, NDArray[np.float32]] = {s: self.meshes[owners[s]].vertices for s in sorted(owners)}
        self.units = settings.units if settings.units != "auto" else _units(first, settings.root)
        self.tracks: Mapping[str, Track] = dict(TRACKS[part] for part in TRACKS if part in layout.parts)
        self.regions = layout.regions.read(self.vertices)

    def frames(self, name: Name) -> int:
        return len(self.opened[name][MESHES].files) if MESHES in self.opened[name] else 0

    def clip(self, name: Name) -> Clip:
        if not self.frames(name):
            raise Unusable("no FLAME meshes")
        if name not in self.meshes:
            raise Unusable("no template in its folder")
        if not (sound := self.layout.place(name, SOUND)):
            raise Unusable("no sound")
        return read_wav(sound)

    def motion(self, name: Name, step: int) -> NDArray[np.float32]:
        return read_meshes(self.opened[name][MESHES].files[::step], self.meshes[name], name)

    def rows(self, name: Name, step: int) -> Mapping[str, NDArray[np.floating]]:
        found = dict[str, NDArray[np.floating]]()
        if CODES in self.opened[name] and (files := self.opened[name][CODES].files):
            found[EXPRESSION] = read_codes(files[::step], name)
        if file := self.layout.place(name, FEATURES):
            found[SPEECH] = read_features(file)
        return found

    def remarks(self, sounds: Mapping[Name, Sound]) -> Iterator[str]:
        yield f"vertices are the FLAME meshes, in units of {self.units}"
        without = [sequence_id(*name) for name in sounds if CODES not in self.opened[name]]
        if without:
            yield f"{len(without)} of {len(sounds)} sequences have no expression codes, {without[0]} for one"
        yield from first_lines(list(self._moved_templates()))
        yield from first_lines(list(self._heads(sounds)))

    def checks(self, sounds: Mapping[Name, Sound]) -> Iterator[Check]:
        yield Check("vertices", f"{VERTICES:,}", f"{self.vertices:,}", self.vertices == VERTICES)
        coded = next((name for name in sounds if CODES in self.opened[name] and self.opened[name][CODES].files), None)
        if coded:
            size = read_codes(self.opened[coded][CODES].files[:1], coded).shape[1]
            yield Check("numbers of an expression code", str(CODE), str(size), size == CODE)
        apart = {name: abs(self.frames(name) / self.fps - sound.seconds) for name, sound in sounds.items()}
        worst = max(apart, key=lambda name: apart[name])
        found = f"{apart[worst]:.2f} s ({sequence_id(*worst)})"
        yield Check("sound and motion, apart at most", f"{APART_S:g} s", found, apart[worst] <= APART_S)

    def _check_topology(self, name: Name, first: Mesh) -> None:
        if not np.array_equal(self.meshes[name].faces, first.faces):
            one, other = (self.layout.place(each, TEMPLATE) for each in (name, min(self.meshes)))
            raise DataError(f"{one} has other triangles than {other}; {leave_out(name)}")

    def _moved_templates(self) -> Iterator[str]:
        """A head that was fitted anew for a sequence is at odds with the template that its subject is given."""
        for name, mesh in self.meshes.items():
            away = float(np.abs(mesh.vertices - self.templates[name[0]]).max())
            if away > 0.01 * float(np.ptp(mesh.vertices[:, 1])):
                yield f"{sequence_id(*name)} has another template than its subject's first sequence, by {away:.3g}"

    def _heads(self, sounds: Mapping[Name, Sound]) -> Iterator[str]:
        for name in sounds:
            heads = len(FrameFiles.of(self.layout.folders[name] / HEADS, ".ply", "frame_").files)
            if heads not in (0, self.frames(name)):
                yield f"{sequence_id(*name)}: {heads} NPHM meshes, but {self.frames(name)} FLAME meshes"


def _units(mesh: Mesh, root: str) -> str:
    height = float(np.ptp(mesh.vertices[:, 1]))
    for units, low, high in SIZES:
        if low <= height < high:
            return units
    raise DataError(f"{root}: heads {height:.3g} high are not in m, mm or NPHM's units; name theirs with units")
