"""One's own recordings as `Recordings`, of which `stages.preprocess.prepare` makes the artifact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.blendshapes import Basis, read_basis
from faces.errors import DataError
from faces.regions import read_region
from faces.vertex_order import Order, VertexOrder
from pipeline.stage import Job
from stages.kinds.card import Check
from stages.kinds.sequences import sequence_id
from stages.preprocess import given_transcripts
from stages.preprocess import prepare as shared
from stages.preprocess.container_sound import read_sound
from stages.preprocess.own import Settings
from stages.preprocess.own.heads import FROM_BASIS, FROM_FILES, FROM_MOTION, Heads, read_heads
from stages.preprocess.own.layout import unpaired
from stages.preprocess.own.motion import Motion, open_motion
from stages.preprocess.own.splits import checked
from stages.preprocess.own.upright import Upright
from stages.preprocess.prepare import Choice, Name, Sound, first_lines, leave_out
from stages.preprocess.region_files import Regions, read_folder, read_masks
from stages.preprocess.sound import Clip, Unusable

DISAGREEMENT_S = 0.5
RATE_TOLERANCE = 0.02
ORIGINS = {
    FROM_FILES: "read from files",
    FROM_BASIS: "the mesh with all weights 0",
    FROM_MOTION: "of each subject the first frame that is nearest to their median",
}


def prepare(settings: Settings, job: Job, *, step: int, limit: int) -> None:
    """Fill `job.out`. Arguments as in `stages.preprocess.Dataset.prepare`."""
    data = Own(settings)
    splits = checked(settings.description.splits, data.names, settings.file)
    choice = Choice(settings.description.name, settings.source, splits, settings.skip, step, limit)
    shared.prepare(data, choice, job, threads=job.workers)


class Own:
    """Implements `Recordings`. Of motion and sound nothing is held in memory."""

    def __init__(self, settings: Settings) -> None:
        self.root, self.description, self.layout = Path(settings.root), settings.description, settings.layout
        self.skip = settings.skip
        if not self.layout.motion:
            raise DataError(f"{self.description.files.motion} holds no sequence that fits dataset.toml; run data check")
        self.fps = self.description.fps
        self.upright = Upright.of(self.description.up, self.description.front, self.description.units)
        self.units, self.up = self.upright.units, self.upright.up
        self.names: Sequence[Name] = sorted(self.layout.motion.keys() | self.layout.sound.keys())
        self.heads: Heads = read_heads(self.description, self.layout, self.opened, lambda: self.basis)
        self.faces = self.heads.model.faces
        self.templates: Mapping[str, NDArray[np.float32]] = {
            subject: self.upright(vertices) for subject, vertices in self.heads.templates.items()
        }
        self.vertices = len(next(iter(self.templates.values())))
        self.regions = read_regions(self.description.files.regions, self.vertices)
        self._frames = dict[Name, int]()
        self._remarks = dict[Name, Sequence[str]]()

    @cached_property
    def basis(self) -> Basis:
        assert self.description.files.basis  # a description without it is refused
        return read_basis(self.description.files.basis)

    def opened(self, name: Name) -> Motion:
        try:
            return self._open(name)
        except DataError as error:
            raise DataError(f"{error}; {leave_out(name)}") from error

    def _open(self, name: Name) -> Motion:
        return open_motion(self.layout.motion[name], self.description, lambda: self.basis)

    def frames(self, name: Name) -> int:
        if name not in self._frames:
            motion = self._open(name)
            self._frames[name], self._remarks[name] = motion.frames, motion.remarks
        return self._frames[name]

    def clip(self, name: Name) -> Clip:
        if name not in self.layout.motion:
            raise Unusable("no motion")
        if name not in self.layout.sound:
            raise Unusable("no sound")
        if not self.frames(name):
            raise Unusable("no frames")
        return read_sound(self.layout.sound[name])

    def motion(self, name: Name, step: int) -> NDArray[np.float32]:
        return self.read(name, range(0, self.frames(name), step))

    def read(self, name: Name, rows: range) -> NDArray[np.float32]:
        """These frames of a sequence, upright and in the artifact's unit."""
        motion = self.opened(name)
        frames = motion.read(rows)
        if frames.shape[1] != self.vertices:
            raise DataError(
                f"{self.layout.motion[name]} has {frames.shape[1]:,} vertices, but the templates have "
                f"{self.vertices:,}; {leave_out(name)}"
            )
        shared.check_finite(frames, lambda k: motion.place(rows[k]), name)
        return self.upright(frames)

    def transcripts(self) -> Mapping[str, str]:
        """Of transcripts.json, and of text files beside the sound, which win."""
        ids = [sequence_id(*name) for name in self.names]
        beside = {key: file for key, file in self.layout.texts.items() if key not in self.skip}
        return given_transcripts.read(self.root, ids) | given_transcripts.read_beside(beside)

    def remarks(self, sounds: Mapping[Name, Sound]) -> Iterable[str]:
        yield f"templates: {ORIGINS[self.heads.origin]}"
        if self.upright.turn is not None:
            yield f"turned from {self.description.up} up and {self.description.front} front to y up and z front"
        if self.upright.scale != 1:
            yield f"scaled from {self.description.units} to metres"
        yield from first_lines([f"{path}: {reason}; not read" for path, reason in self.layout.odd.items()])
        twice = [f"warning: {path} is not read, {taken.name} is" for path, taken in self.layout.twice.items()]
        yield from first_lines(twice)
        yield from first_lines([f"{path}: no motion of that name" for path in unpaired(self.layout)["sound"]])
        yield from first_lines(list(self._lengths(sounds)))
        for note in sorted({note for name in sounds for note in self._remarks.get(name, ())}):
            count = sum(note in self._remarks.get(name, ()) for name in sounds)
            yield f"{count} of {len(sounds)} sequences: {note}"

    def checks(self, sounds: Mapping[Name, Sound]) -> Iterable[Check]:
        rate = float(np.median([self.frames(name) / sound.seconds for name, sound in sounds.items()]))
        close = abs(rate / self.fps - 1) <= RATE_TOLERANCE
        yield Check("frames a second, by the length of the sound", f"{self.fps:g}", f"{rate:.2f}", close)
        yield self._order(sounds)

    def _order(self, names: Iterable[Name]) -> Check:
        """Of the first frame of each sequence."""
        order = VertexOrder(self.heads.model.vertices, self.faces)
        odd = [name for name in names if order.of(self.read(name, range(1))[0]).kind is not Order.SAME]
        more = f", not {sequence_id(*odd[0])}" if odd else ""
        found = "all sequences" if not odd else f"all but {len(odd)}{more}"
        return Check("vertices in the order of the triangles", "all sequences", found, not odd)

    def _lengths(self, sounds: Mapping[Name, Sound]) -> Iterator[str]:
        for name, sound in sounds.items():
            motion = self.frames(name) / self.fps
            if abs(motion - sound.seconds) > DISAGREEMENT_S:
                yield f"{sequence_id(*name)}: {motion:.2f} s of motion but {sound.seconds:.2f} s of sound"


def read_regions(path: Path | None, vertices: int) -> Regions:
    """A folder of lists, one list, or a pickle of masks."""
    if path is None:
        return {}
    if path.is_dir():
        return read_folder(path, vertices)
    return read_masks(path, vertices) if path.suffix == ".pkl" else {path.stem: read_region(path, vertices)}
