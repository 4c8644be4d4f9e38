"""3D-MEAD's files as `Recordings`, of which `stages.preprocess.prepare` makes the artifact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from pipeline.stage import Job
from stages.kinds.card import Check
from stages.kinds.sequences import sequence_id
from stages.preprocess import given_transcripts
from stages.preprocess import prepare as shared
from stages.preprocess.container_sound import read_sound
from stages.preprocess.mead import Settings
from stages.preprocess.mead.layout import EMOTIONS, Layout, find, told
from stages.preprocess.mead.motion import open_motion
from stages.preprocess.prepare import Choice, Name, Sound
from stages.preprocess.sound import Clip, Unusable
from stages.preprocess.split_file import Splits, read_splits

VERTICES = 5023
APART_S = 0.2
"""AAC pads its last frame and reconstruction drops one or the other; more than this is worth a look."""


def prepare(settings: Settings, job: Job, *, dataset: str, step: int, limit: int) -> None:
    """Fill `job.out`. Arguments as in `stages.preprocess.Dataset.prepare`; `dataset` is the name in the index."""
    data, splits = recordings(settings)
    choice = Choice(dataset, settings.source, splits, settings.skip, step, limit)
    shared.prepare(data, choice, job, threads=job.workers)


def recordings(settings: Settings) -> tuple[Mead, Splits]:
    """The data opened, and the splits."""
    data = Mead(settings, find(settings))
    return data, read_splits(settings.split_file).among(data.templates)


class Mead:
    """Implements `Recordings` and `Tracked`. Of motion and sound nothing is held in memory."""

    units = "m"
    up = "y"

    def __init__(self, settings: Settings, layout: Layout) -> None:
        self.root, self.settings, self.layout, self.fps = Path(settings.root), settings, layout, settings.recorded
        if not layout.motion:
            raise DataError(_nothing(settings, layout))
        self.names: Sequence[Name] = sorted(layout.motion)
        read = [name for name in self.names if "_".join(name) not in settings.skip]
        self.opened = open_motion(settings, layout, read)
        self.templates, self.faces, self.tracks = self.opened.templates, self.opened.faces, self.opened.tracks
        self.vertices = len(next(iter(self.templates.values())))
        self.regions = layout.regions.read(self.vertices)

    def frames(self, name: Name) -> int:
        return self.opened.frames[name]

    def clip(self, name: Name) -> Clip:
        if not self.opened.frames.get(name):
            raise Unusable("no frames")
        if name[0] not in self.templates:
            raise Unusable(f"no template of its subject in {self.layout.templates.name}")
        if name not in self.layout.sound:
            raise Unusable("no sound")
        return read_sound(self.layout.sound[name])

    def motion(self, name: Name, step: int) -> NDArray[np.float32]:
        return self.opened.read(name, step)

    def rows(self, name: Name, step: int) -> Mapping[str, NDArray[np.floating]]:
        return self.opened.rows(name, step)

    def transcripts(self) -> Mapping[str, str]:
        """Those beside the data."""
        ids = [sequence_id(*name) for name in self.names]
        return given_transcripts.read(self.root, ids, some=self.layout.others > 0)

    def remarks(self, sounds: Mapping[Name, Sound]) -> Iterator[str]:
        yield self._what_was_done()
        if self.layout.others:
            yield f"emotions and levels: {self.layout.others} other sequences are left out"
        found = Counter(known[0] for name in sounds if (known := told(name[1])))
        if found:
            yield "emotions: " + ", ".join(f"{name} {found[name]}" for name in EMOTIONS if found[name])

    def checks(self, sounds: Mapping[Name, Sound]) -> Iterable[Check]:
        yield Check("vertices", f"{VERTICES:,}", f"{self.vertices:,}", self.vertices == VERTICES)
        apart = {name: abs(self.frames(name) / self.fps - sound.seconds) for name, sound in sounds.items()}
        worst = max(apart, key=lambda name: apart[name])
        found = f"{apart[worst]:.2f} s ({sequence_id(*worst)})"
        yield Check("sound and motion, apart at most", f"{APART_S:g} s", found, apart[worst] <= APART_S)

    def _what_was_done(self) -> str:
        if not self.layout.parametric:
            return "vertices are taken as they are"
        shape = "shape zero" if self.settings.shape == "zero" else "the shape of each subject's first sequence"
        return f"vertices are FLAME's, of {self.settings.expressions} expressions and the jaw, with {shape}"


def _nothing(settings: Settings, layout: Layout) -> str:
    if not Path(settings.root).is_dir():
        return f"the dataset folder {settings.root} does not exist; give the folder that holds the motion as root"
    if layout.others:
        return f"{layout.folder} holds no sequence of these emotions and levels, and {layout.others} others"
    return (
        f"{layout.folder} holds no sequence; put arrays into vertices_npy/ or param/, or EMOTE's folders "
        "<subject>/front/<emotion>/level_<1-3>/<sentence> there"
    )
