"""BIWI's files as `Recordings`, of which `stages.preprocess.prepare` makes the artifact: read, checked, normalised."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from pipeline.stage import Job
from stages.kinds.card import Check, Source
from stages.kinds.sequences import sequence_id
from stages.preprocess import given_transcripts, published_transcripts
from stages.preprocess import prepare as shared
from stages.preprocess.biwi import Settings, checks, remarks
from stages.preprocess.biwi.frames import Motion, open_motion
from stages.preprocess.biwi.layout import Layout, find
from stages.preprocess.biwi.normalise import Place, all_alike, each_by_itself, round_to
from stages.preprocess.biwi.templates import Templates, read_templates
from stages.preprocess.container_sound import read_sound
from stages.preprocess.overlapping import overlapping
from stages.preprocess.prepare import Choice, Name, Sound
from stages.preprocess.region_files import read_files
from stages.preprocess.sound import Clip, Unusable
from stages.preprocess.split_file import Splits, read_splits

Opener = Callable[[Path, Name], Motion]

UNITS = {"frame": "unit-area", "template": "template-area", "extent": "template-extents"}
"""Rule → what 1 is."""


def prepare(
    settings: Settings, job: Job, *, dataset: str, step: int, limit: int,
    source: Source = Settings.source, opener: Opener = open_motion,
) -> None:  # fmt: skip
    """Fill `job.out`. Arguments as in `stages.preprocess.Dataset.prepare`; `dataset` is the name in the index, `source`
    for the card.

    opener: what makes the motion of a sequence's path.
    """
    layout = _layout(settings)
    names = _wanted(settings, layout)
    opening = overlapping(lambda name: (name, opener(layout.motion[name], name)), names, job.workers)
    opened = dict(job.track(opening, total=len(names), unit="sequences"))
    data = Biwi(settings, layout, opened, is_corpus=dataset == "biwi")
    splits = read_splits(settings.split_file)
    shared.prepare(data, Choice(dataset, source, splits, settings.skip, step, limit), job, threads=job.workers)


def recordings(settings: Settings) -> tuple[Biwi, Splits]:
    """The data opened, and the splits."""
    layout = _layout(settings)
    opened = {name: open_motion(layout.motion[name], name) for name in _wanted(settings, layout)}
    return Biwi(settings, layout, opened), read_splits(settings.split_file)


def _layout(settings: Settings) -> Layout:
    layout = find(settings)
    _check_layout(Path(settings.root), settings, layout)
    return layout


def _wanted(settings: Settings, layout: Layout) -> list[Name]:
    return [name for name in layout.motion if "_".join(name) not in settings.skip]


class Biwi:
    """Implements `Recordings`. Of motion and sound nothing is held in memory.

    opened: the motion of sequences, of which some may have no frames. is_corpus: it is BIWI itself, and no other data
    in its layout. places, template_places: subject → its template's, as stored and as normalised, before it is rounded
    to float32. coarse_templates: they were so when they came.
    """

    fps = Settings.native_fps

    def __init__(
        self, settings: Settings, layout: Layout, opened: Mapping[Name, Motion], *, is_corpus: bool = True
    ) -> None:
        self.root, self.settings, self.layout, self.is_corpus = Path(settings.root), settings, layout, is_corpus
        self.names: Sequence[Name] = sorted(layout.motion)
        self.opened = {name: motion for name, motion in opened.items() if motion.frames}
        stored = read_templates(layout)
        self.faces, self.ready_templates = stored.faces, stored.ready
        self.coarse_templates = stored.ready and any(t.dtype != np.float64 for t in stored.vertices.values())
        self.places = {s: Place.of(vertices, stored.faces, stored.where[s]) for s, vertices in stored.vertices.items()}
        exact = {subject: self._template(stored, subject) for subject in stored.vertices}
        self.template_places = {s: Place.of(vertices, stored.faces, stored.where[s]) for s, vertices in exact.items()}
        self.templates: Mapping[str, NDArray[np.float32]] = {s: t.astype(np.float32) for s, t in exact.items()}
        self.up = "-y" if self.rule(ready=False) == "extent" else "y"
        self.vertices = len(next(iter(self.templates.values())))
        self.regions = read_files(sorted(layout.regions.items()), self.vertices)
        self.units = self._units()

    def rule(self, ready: bool) -> str:
        """How what is ready, or what is not, is normalised: "frame", "template", "extent" or "none"."""
        chosen = self.settings.normalise
        return chosen if chosen != "auto" else "none" if ready else self.settings.published.normalise

    def frames(self, name: Name) -> int:
        return self.opened[name].frames

    def clip(self, name: Name) -> Clip:
        if name not in self.opened:
            raise Unusable("no frames")
        if name[0] not in self.templates:
            raise Unusable(f"no template of its subject in {self.layout.templates.name}")
        if name not in self.layout.sound:
            raise Unusable("no sound")
        return read_sound(self.layout.sound[name])

    def motion(self, name: Name, step: int) -> NDArray[np.float32]:
        return self.read(name, range(0, self.frames(name), step))

    def read(self, name: Name, rows: range) -> NDArray[np.float32]:
        """These frames of a sequence, normalised."""
        motion, where = self.opened[name], str(self.layout.motion[name])
        frames = motion.read(rows, self.faces, self.vertices)
        rule = self.rule(motion.ready)
        if self.settings.digits and not motion.ready:
            round_to(frames, self.settings.digits)
        if rule == "none":
            return frames
        if motion.ready:
            self._refuse_twice(Place.of(frames[0], self.faces, where), where)
        if rule == "frame":
            return each_by_itself(frames, self.faces, where)
        return all_alike(frames, self.places[name[0]], rule, f"the template of {name[0]}")

    def transcripts(self) -> Mapping[str, str]:
        """Those beside the data; the user's own table wins."""
        ids = [sequence_id(*name) for name in self.names]
        given = given_transcripts.read(self.root, ids, some=self.layout.others > 0)
        return published_transcripts.read_biwi(self.root, ids) | given

    def remarks(self, sounds: Mapping[Name, Sound]) -> Iterable[str]:
        return remarks.all_of(self, sounds)

    def checks(self, sounds: Mapping[Name, Sound]) -> Iterable[Check]:
        return checks.all_of(self, sounds)

    def _template(self, stored: Templates, subject: str) -> NDArray[np.float64]:
        vertices, rule = stored.vertices[subject].astype(np.float64), self.rule(stored.ready)
        if rule == "none":
            return vertices
        if stored.ready:
            self._refuse_twice(self.places[subject], stored.where[subject])
        return all_alike(vertices[None], self.places[subject], rule, stored.where[subject])[0]

    def _refuse_twice(self, place: Place, where: str) -> None:
        rule = self.rule(ready=True)
        if place.is_normalised(rule):
            raise DataError(
                f"{where} is normalised already, and normalise = {rule!r} would do it again; use auto or none for it"
            )

    def _units(self) -> str:
        """What 1 is. Under each rule it is something else, so that results of the one never meet another's."""
        rule = self.rule(ready=False)
        if not all(place.is_normalised(rule) for place in self.template_places.values()):
            return "unknown"
        return UNITS.get(rule, UNITS["frame"])


def _check_layout(root: Path, settings: Settings, layout: Layout) -> None:
    """DataError where there is not one sequence."""
    if not root.is_dir():
        raise DataError(f"the dataset folder {root} does not exist; give the folder that holds faces/ as root")
    if layout.motion:
        return
    if layout.others:
        raise DataError(
            f"{layout.frames} holds no {settings.which} sentence and {layout.others} others; choose other sentences"
        )
    raise DataError(
        f"{layout.frames} holds no sequence; put <subject>/<sentence>.tar, or such folders of .vl or .obj frames, "
        f"there, or ready arrays <subject>_<sentence>.npy into {root / 'vertices_npy'}"
    )
