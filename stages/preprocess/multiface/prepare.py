"""Multiface's files as `Recordings`, of which `stages.preprocess.prepare` makes the artifact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from pipeline.stage import Job
from stages.kinds.card import Check
from stages.kinds.sequences import sequence_id
from stages.preprocess import prepare as shared
from stages.preprocess.frame_files import FrameFiles
from stages.preprocess.multiface import Settings
from stages.preprocess.multiface.layout import Layout, find
from stages.preprocess.multiface.regions import MASKS, read_regions
from stages.preprocess.multiface.topology import (
    TRACKED,
    VERTICES,
    check_effect,
    is_boxed,
    read_frame,
    read_kept,
    read_topology,
    to_box,
    to_mm,
)
from stages.preprocess.prepare import Choice, Name, Sound, check_finite, first_lines, leave_out
from stages.preprocess.sound import Clip, Unusable, read_wav
from stages.preprocess.split_file import Splits, read_splits
from stages.preprocess.template_file import read_table
from stages.preprocess.vertex_file import VertexFile

BOX = "multiface-box"
SPEAKERS, SENTENCES = 13, 50
APART = 1.0
"""Frames; sound is cut so that 1,600 samples at 48 kHz belong to a frame (Multiface, issue 31)."""


def prepare(settings: Settings, job: Job, *, dataset: str, step: int, limit: int) -> None:
    """Fill `job.out`. Arguments as in `stages.preprocess.Dataset.prepare`; `dataset` is the name in the index."""
    data, splits = recordings(settings)
    choice = Choice(dataset, settings.source, splits, settings.skip, step, limit)
    shared.prepare(data, choice, job, threads=job.workers)


def recordings(settings: Settings) -> tuple[Multiface, Splits]:
    """The data opened, and the splits."""
    data = Multiface(settings, find(settings))
    return data, read_splits(settings.split_file)


class Multiface:
    """Implements `Recordings`. Of motion and sound nothing is held in memory.

    kept: which tracked vertices stay; None for ready arrays, from which the others are gone.
    """

    fps = Settings.native_fps
    up = "y"

    def __init__(self, settings: Settings, layout: Layout) -> None:
        self.root, self.settings, self.layout = Path(settings.root), settings, layout
        if not layout.motion:
            raise DataError(_nothing(settings))
        self.names: Sequence[Name] = sorted(layout.motion, key=lambda name: (_number(name[0]), name))
        self.boxed, self.units = settings.units == "box", BOX if settings.units == "box" else "mm"
        mesh = read_topology(layout.topology)
        self.faces = mesh.faces
        self.kept = None if layout.ready else read_kept(layout.removed)
        read = [name for name in self.names if "_".join(name) not in settings.skip]
        self.arrays = {name: _open_array(layout.motion[name], name) for name in read if layout.ready}
        self.folders = {name: FrameFiles.of(layout.motion[name], ".bin") for name in read if not layout.ready}
        stored = self._stored_templates()
        if self.kept is not None and stored:
            first = min(stored, key=_number)
            check_effect(layout.removed, stored[first], mesh)
        self.templates: Mapping[str, NDArray[np.float32]] = {s: self._scaled(points) for s, points in stored.items()}
        self.regions = read_regions(layout.regions, VERTICES)

    def frames(self, name: Name) -> int:
        return self.arrays[name].frames if self.layout.ready else len(self.folders[name].files)

    def clip(self, name: Name) -> Clip:
        if not self.frames(name):
            raise Unusable("no frames")
        if name in self.folders and self.folders[name].missing:
            raise Unusable("frames are missing between its first and last, so that what follows is out of time")
        if name[0] not in self.templates:
            raise Unusable("no template of its speaker")
        if name not in self.layout.sound:
            raise Unusable("no sound")
        return read_wav(self.layout.sound[name])

    def motion(self, name: Name, step: int) -> NDArray[np.float32]:
        if self.layout.ready:
            array = self.arrays[name]
            frames = array.gather(np.arange(0, array.frames, step))
            check_finite(frames, lambda row: f"{array.path}, frame {row * step}", name)
        else:
            files = self.folders[name].files[::step]
            frames = np.stack([self._read_frame(file) for file in files])
            check_finite(frames, lambda row: str(files[row]), name)
        return self._scaled(frames)

    def remarks(self, sounds: Mapping[Name, Sound]) -> Iterator[str]:
        done = "as published: each axis scaled to ±1 by itself" if self.boxed else "in millimetres"
        yield f"vertices are {done}"
        if self.layout.speakers:
            yield "speakers: " + ", ".join(f"{number} is {name}" for number, name in self.layout.speakers.items())
        if self.layout.others:
            yield f"{self.layout.others} takes without speech are left out"
        if self.layout.unnamed:
            yield f"left out, because speakers does not name them: {', '.join(self.layout.unnamed)}"
        gaps = {sequence_id(*name): folder.missing for name, folder in self.folders.items()}
        yield from first_lines([f"{key}: frames {missing} are missing" for key, missing in gaps.items() if missing])

    def checks(self, sounds: Mapping[Name, Sound]) -> Iterator[Check]:
        if not self.layout.ready:
            for what, expected, count in (
                ("speakers, by which they are numbered", SPEAKERS, self._numbered()),
                ("sentences, by which they are numbered", SENTENCES, len(self.layout.sentences)),
            ):
                yield Check(what, str(expected), str(count), count == expected)
        for stem in (stem for stem in MASKS if stem in self.layout.regions):
            name, _, count = MASKS[stem]
            entries = len(self.regions[name])
            yield Check(f"vertices of {stem}", f"{count:,}", f"{entries:,}", entries == count)
        apart = {name: abs(self.frames(name) - sound.seconds * self.fps) for name, sound in sounds.items()}
        worst = max(apart, key=lambda name: apart[name])
        found = f"{apart[worst]:.1f} frames ({sequence_id(*worst)})"
        yield Check("sound and motion, apart at most", f"{APART:g} frame", found, apart[worst] <= APART)

    def _numbered(self) -> int:
        return len(self.settings.speakers or self.layout.speakers)

    def _stored_templates(self) -> dict[str, NDArray[np.float32]]:
        """Speaker → (6172, 3), in the units in which they are found."""
        layout = self.layout
        if not layout.table:
            opened = {speaker: FrameFiles.of(folder, ".bin").files for speaker, folder in layout.neutral.items()}
            return {speaker: self._read_frame(files[0]) for speaker, files in opened.items() if files}
        table = read_table(layout.table)
        count = len(next(iter(table.values())))
        if count == TRACKED and self.kept is not None:
            return {speaker: template[self.kept] for speaker, template in table.items()}
        if count != VERTICES:
            raise DataError(f"{layout.table} holds templates of {count:,} vertices, not of MeshTalk's {VERTICES:,}")
        return table

    def _read_frame(self, file: Path) -> NDArray[np.float32]:
        frame: NDArray[np.float32] = read_frame(file)[self.kept]
        return frame

    def _scaled(self, vertices: NDArray[np.float32]) -> NDArray[np.float32]:
        """To the wanted units, whichever of the two they are in."""
        if is_boxed(vertices) == self.boxed:
            return vertices
        return to_box(vertices) if self.boxed else to_mm(vertices)


def _open_array(file: Path, name: Name) -> VertexFile:
    opened = VertexFile.open(file, flat=True)
    if opened.vertices != VERTICES:
        raise DataError(f"{file} has {opened.vertices:,} vertices, not MeshTalk's {VERTICES:,}; {leave_out(name)}")
    return opened


def _number(speaker: str) -> tuple[int, str]:
    return (int(speaker) if speaker.isdecimal() else 0, speaker)


def _nothing(settings: Settings) -> str:
    if not Path(settings.root).is_dir():
        return f"the dataset folder {settings.root} does not exist; give the folder of the speakers as root"
    return (
        f"{settings.root} holds no sentence of its speakers; put folders <speaker>/tracked_mesh/SEN_<sentence> of .bin "
        "frames there, or ready arrays <speaker>_<sentence>.npy into vertices_npy/"
    )
