"""BIWI's files as `Recordings`, of which `stages.preprocess.prepare` makes the artifact: read, checked, normalised."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.regions import read_region
from pipeline.stage import Job
from stages.kinds.card import Check, Source
from stages.preprocess import prepare as shared
from stages.preprocess.biwi import Settings, remarks
from stages.preprocess.biwi.frames import Motion, open_motion
from stages.preprocess.biwi.layout import Layout, find
from stages.preprocess.biwi.normalise import Place, all_alike, each_by_itself
from stages.preprocess.biwi.templates import Templates, read_templates
from stages.preprocess.prepare import Choice, Name, Sound, leave_out
from stages.preprocess.sound import Clip, Unusable, read_wav
from stages.preprocess.split_file import Splits, read_splits

Opener = Callable[[Path, Name], Motion]


def prepare(
    settings: Settings, job: Job, *, dataset: str, step: int, limit: int,
    source: Source = Settings.source, opener: Opener = open_motion,
) -> None:  # fmt: skip
    """Fill `job.out`. Arguments as in `stages.preprocess.Dataset.prepare`; `dataset` is the name in the index, `source`
    for the card.

    opener: what makes the motion of a sequence's path.
    """
    data = Biwi(settings, find(settings), opener)
    splits = read_splits(settings.split_file)
    shared.prepare(data, Choice(dataset, source, splits, settings.skip, step, limit), job, threads=job.workers)


def recordings(settings: Settings) -> tuple[Biwi, Splits]:
    """The data opened, and the splits."""
    return Biwi(settings, find(settings)), read_splits(settings.split_file)


class Biwi:
    """Implements `Recordings`. Of motion and sound nothing is held in memory.

    opened: the motion of the sequences that have any. places: subject → its template's, as stored.
    """

    fps = Settings.native_fps
    up = "y"

    def __init__(self, settings: Settings, layout: Layout, opener: Opener = open_motion) -> None:
        self.root, self.settings, self.layout = Path(settings.root), settings, layout
        _check_layout(self.root, settings, layout)
        self.names: Sequence[Name] = sorted(layout.motion)
        self.opened = _open(layout, settings.skip, opener)
        stored = read_templates(layout)
        self.faces, self.ready_templates = stored.faces, stored.ready
        self.places = {s: Place.of(vertices, stored.faces, stored.where[s]) for s, vertices in stored.vertices.items()}
        self.templates: Mapping[str, NDArray[np.float32]] = {
            subject: self._template(stored, subject) for subject in stored.vertices
        }
        self.vertices = len(next(iter(self.templates.values())))
        self.regions = {name: read_region(file, self.vertices) for name, file in sorted(layout.regions.items())}
        self.units = self._units()

    def rule(self, ready: bool) -> str:
        """How what is ready, or what is not, is normalised: "frame", "template" or "none"."""
        chosen = self.settings.normalise
        return chosen if chosen != "auto" else "none" if ready else "frame"

    def frames(self, name: Name) -> int:
        return self.opened[name].frames

    def clip(self, name: Name) -> Clip:
        if name not in self.opened:
            raise Unusable("no frames")
        if name[0] not in self.templates:
            raise Unusable(f"no template of its subject in {self.layout.templates.name}")
        if name not in self.layout.sound:
            raise Unusable("no sound")
        try:
            return read_wav(self.layout.sound[name])
        except DataError as error:
            raise DataError(f"{error}; {leave_out(name)}") from error

    def motion(self, name: Name, step: int) -> NDArray[np.float32]:
        return self.read(name, range(0, self.frames(name), step))

    def read(self, name: Name, rows: range) -> NDArray[np.float32]:
        """These frames of a sequence, normalised."""
        motion, where = self.opened[name], str(self.layout.motion[name])
        frames = motion.read(rows, self.faces, self.vertices)
        rule = self.rule(motion.ready)
        if rule == "none":
            return frames
        if motion.ready:
            self._refuse_twice(Place.of(frames[0], self.faces, where), where)
        return each_by_itself(frames, self.faces, where) if rule == "frame" else all_alike(frames, self.places[name[0]])

    def remarks(self, sounds: Mapping[Name, Sound]) -> Iterable[str]:
        return remarks.all_of(self, sounds)

    def checks(self, sounds: Mapping[Name, Sound]) -> Iterable[Check]:
        yield Check("vertices", f"{remarks.VERTICES:,}", f"{self.vertices:,}", self.vertices == remarks.VERTICES)

    def _template(self, stored: Templates, subject: str) -> NDArray[np.float32]:
        vertices, place = stored.vertices[subject].astype(np.float32), self.places[subject]
        if self.rule(stored.ready) == "none":
            return vertices
        if stored.ready:
            self._refuse_twice(place, stored.where[subject])
        return all_alike(vertices[None], place)[0]

    def _refuse_twice(self, place: Place, where: str) -> None:
        if place.is_normalised:
            raise DataError(
                f"{where} is normalised already, and normalise = {self.settings.normalise!r} would turn it upside "
                "down; use auto or none for it"
            )

    def _units(self) -> str:
        """What 1 is. Under the two rules it is not the same, so that results of the one never meet the other's."""
        if self.rule(ready=False) == "template":
            return "template-area"
        places = [Place.of(vertices, self.faces, subject) for subject, vertices in self.templates.items()]
        return "unit-area" if all(place.is_normalised for place in places) else "unknown"


def _open(layout: Layout, skip: Iterable[str], opener: Opener) -> dict[Name, Motion]:
    opened = dict[Name, Motion]()
    for name, path in layout.motion.items():
        if "_".join(name) not in skip and (motion := opener(path, name)).frames:
            opened[name] = motion
    return opened


def _check_layout(root: Path, settings: Settings, layout: Layout) -> None:
    """DataError where there is not one sequence."""
    if not root.is_dir():
        raise DataError(f"the dataset folder {root} does not exist; give the folder that holds faces/ as root")
    if layout.motion:
        return
    if layout.packed:
        raise DataError(f"{layout.frames} holds archives alone, {len(layout.packed)} of them; unpack them there first")
    if layout.others:
        raise DataError(
            f"{layout.frames} holds no {settings.sentences} sentence and {layout.others} others; choose other sentences"
        )
    raise DataError(
        f"{layout.frames} holds no sequence; put folders <subject>/<sentence> of .vl or .obj frames there, or ready "
        f"arrays <subject>_<sentence>.npy into {root / 'vertices_npy'}"
    )
