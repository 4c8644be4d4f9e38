"""The two clones as `Recordings`, of which `stages.preprocess.prepare` makes the artifact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from pipeline.stage import Job
from stages.kinds.card import Check
from stages.kinds.tracks import Track
from stages.preprocess import prepare as shared
from stages.preprocess.ict_facegood import Settings
from stages.preprocess.ict_facegood.cast import Cast, Line, assign, draw_identity, subject_names
from stages.preprocess.ict_facegood.curves import Curves, read_curves
from stages.preprocess.ict_facegood.kit import Kit, read_kit
from stages.preprocess.ict_facegood.layout import Layout, find
from stages.preprocess.ict_facegood.pauses import Limits, cut, levels, sample_at
from stages.preprocess.ict_facegood.regions import LOWER_LIP, UPPER_LIP, find_regions
from stages.preprocess.prepare import Choice, Name, Sound
from stages.preprocess.sound import Clip, Unusable, read_wav, to_clip

VERTICES = 26719
MOST_APART_S = 0.1
"""Sound and curves of a clip end within a frame or two of each other."""
LEAST_COVERED = 0.99
OPENS = 3.0
"""Speech opens the lips at least so many times as wide as silence, if curves and sound belong together."""
VOICED_DB = -20.0
WEIGHTS = "arkit"
"""The track of the weights that a sequence was made from."""


def prepare(settings: Settings, job: Job, *, step: int, limit: int) -> None:
    """Fill `job.out`. Arguments as in `stages.preprocess.Dataset.prepare`."""
    layout = find(settings)
    for what, file in layout.files().items():
        if not file.exists():
            raise DataError(f"{file} is missing; {what} must be there")
    data = IctFacegood(settings, layout)
    choice = Choice("ict-facegood", settings.source, data.cast.splits, settings.skip, step, limit)
    shared.prepare(data, choice, job, threads=job.workers)


class IctFacegood:
    """Implements `Recordings` and `Tracked`. Sound and curves of the clips are held in memory, motion is not.

    clips: clip → its sound. loudness: clip → dB per frame. shapes: the names of the weights, in the kit's order.
    """

    fps = Settings.native_fps
    units = "m"
    up = "y"

    def __init__(self, settings: Settings, layout: Layout) -> None:
        self.root, self.settings, self.layout = layout.facegood, settings, layout
        self.kit: Kit = read_kit(layout, settings.head)
        self.curves: Curves = read_curves(layout)
        self.clips = {clip: _read_sound(layout.sounds[clip]) for clip in layout.clips}
        self.loudness = {clip: levels(sound, self._length(clip), self.fps) for clip, sound in self.clips.items()}
        self.cast: Cast = assign(settings, {clip: cut(self.loudness[clip], self._limits) for clip in layout.clips})
        self.names: Sequence[Name] = list(self.cast.lines)
        self.faces, self.regions = self.kit.faces, find_regions(self.kit)
        self.shapes: Sequence[str] = self._shapes()
        moved = [shape for shape in self.shapes if shape in layout.shapes]
        self._moved = [self.shapes.index(shape) for shape in moved]
        self._basis = self.kit.displacements(layout.shapes[shape] for shape in moved)
        self.templates = self._templates()
        columns = ", ".join(self.shapes)
        self.tracks = {WEIGHTS: Track(f"ICT-FaceKit's expression weights, 0 to 1: {columns}", framewise=True)}

    def frames(self, name: Name) -> int:
        first, end = self.cast.lines[name].span
        return end - first

    def clip(self, name: Name) -> Clip:
        line = self.cast.lines[name]
        sound = self.clips[line.clip]
        first, end = sample_at(np.array(line.span), sound.rate, self.fps).tolist()
        try:
            return to_clip(sound.samples[first:end], sound.rate)
        except Unusable as reason:
            raise Unusable(f"{reason} (of this part of {line.clip})") from reason

    def weights(self, name: Name, step: int) -> NDArray[np.float32]:
        """(T, S) of `shapes`, 0 … 1."""
        return self._weights_of(self.cast.lines[name])[::step]

    def rows(self, name: Name, step: int) -> Mapping[str, NDArray[np.floating]]:
        return {WEIGHTS: self.weights(name, step)}

    def motion(self, name: Name, step: int) -> NDArray[np.float32]:
        moved = self.weights(name, step)[:, self._moved]
        displacement = moved @ self._basis.reshape(len(self._moved), -1).astype(np.float32)
        return displacement.reshape(len(moved), -1, 3) + self.templates[name[0]]

    def remarks(self, sounds: Mapping[Name, Sound]) -> Iterator[str]:
        yield f"{len(self.clips)} clips are cut into {len({name[1] for name in sounds})} sentences at pauses"
        for clip in self.layout.unseen:
            yield f"{clip} has sound and no curves: unseen speech, of which nothing is learnt"
        silent = sorted(self.layout.curves.keys() - self.layout.sounds.keys())
        if silent:
            yield f"curves without sound, not used: {', '.join(silent)}"
        if unmapped := self.curves.unmapped:
            far = ", ".join(f"{name} (by {span:.2f})" for name, span in sorted(unmapped.items(), key=lambda x: -x[1]))
            yield f"curves that move and have no shape: {far}"

    def checks(self, sounds: Mapping[Name, Sound]) -> Iterable[Check]:
        yield Check("vertices of the kit", f"{VERTICES:,}", f"{self.kit.whole:,}", self.kit.whole == VERTICES)
        apart = max(abs(sound.seconds - self._length(clip) / self.fps) for clip, sound in self.clips.items())
        yield Check("sound and curves of a clip, apart at most", f"{MOST_APART_S:g} s", f"{apart:.2f} s",
                    apart <= MOST_APART_S)  # fmt: skip
        covered = self.curves.covered
        yield Check("variance of the curves that the mapping takes", f"{LEAST_COVERED:.0%} or more", f"{covered:.1%}",
                    covered >= LEAST_COVERED)  # fmt: skip
        quiet, voiced = self.lip_gap
        yield Check("mean lip gap in silence and voiced", f"voiced {OPENS:g} times as wide or more",
                    f"{quiet * 100:.2f} and {voiced * 100:.2f} cm", voiced >= OPENS * quiet)  # fmt: skip

    @cached_property
    def lip_gap(self) -> tuple[float, float]:
        """Metres between the middles of the lips of the neutral head: mean over all silent, over all voiced frames."""
        gaps = np.concatenate([self.gaps(clip) for clip in self.clips])
        level = np.concatenate([self.loudness[clip] for clip in self.clips])
        quiet, voiced = level < self.settings.silence_db, level > VOICED_DB
        return _mean(gaps[quiet]), _mean(gaps[voiced])

    def gaps(self, clip: str) -> NDArray[np.float64]:
        """(T,) metres between landmarks 62 and 66 of the neutral head, speaking a clip."""
        pair = self.kit.landmarks[[UPPER_LIP, LOWER_LIP]]
        weights = self._weights_of(Line(clip, (0, self._length(clip))))[:, self._moved]
        lips = self.kit.neutral[pair] + np.einsum("ts,svx->tvx", weights, self._basis[:, pair])
        found: NDArray[np.float64] = np.linalg.norm(lips[:, 0] - lips[:, 1], axis=1)
        return found

    def _weights_of(self, line: Line) -> NDArray[np.float32]:
        first, end = line.span
        return self.curves.weights(line.clip, self.shapes)[first:end]

    def _length(self, clip: str) -> int:
        return len(self.curves.values[clip])

    @property
    def _limits(self) -> Limits:
        given = self.settings
        pause, shortest, longest = (
            max(1, round(seconds * self.fps)) for seconds in (given.pause, given.shortest, given.longest)
        )
        return Limits(given.silence_db, pause, shortest, longest)

    def _shapes(self) -> list[str]:
        if unknown := sorted(self.layout.shapes.keys() - set(self.kit.expressions)):
            raise DataError(
                f"{self.layout.mapping_file} names the shape {unknown[0]}, which {self.layout.indices.name} has not"
            )
        return list(self.kit.expressions)

    def _templates(self) -> Mapping[str, NDArray[np.float32]]:
        """Subject → the neutral head in the form that its identity modes give it."""
        modes = self.kit.displacements(self.layout.modes)
        forms = [
            np.tensordot(draw_identity(self.settings.data_seed, number, len(modes)), modes, axes=1)
            for number in range(self.settings.subjects)
        ]
        names = subject_names(self.settings.subjects)
        return {name: (self.kit.neutral + form).astype(np.float32) for name, form in zip(names, forms, strict=True)}


def _read_sound(file: Path) -> Clip:
    try:
        return read_wav(file)
    except Unusable as reason:
        raise DataError(f"{file}: {reason}; take the clip out of the folder") from reason


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0
