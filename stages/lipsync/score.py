"""The work of the stage `lipsync`: pictures and sound of each sentence to features, features to numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from models.sound import Wave
from models.syncnet.distances import Synchrony, synchrony
from models.syncnet.file import read_syncnet
from models.syncnet.mfcc import mfcc
from models.syncnet.net import PICTURES, SyncNet
from models.syncnet.timing import CUT, LEAST_WINDOWS, PICTURES_PER_SECOND, windows_of
from pipeline.errors import StageError
from pipeline.stage import Job
from stages.audio import speech
from stages.kinds.predictions import Item, Predictions, vertices_of
from stages.kinds.predictions import check_alike as check_predictions
from stages.kinds.readings import digest_of
from stages.kinds.sequences import Sequences
from stages.kinds.surfaces import Surfaces, mesh_file
from stages.kinds.surfaces import check_alike as check_surfaces
from stages.kinds.synchrony import (
    MILLISECONDS,
    OF_SURFACES,
    OF_VERTICES,
    PREDICTED,
    TRUTH,
    Info,
    Mean,
    Score,
    read_score,
    write_index,
    write_score,
)
from stages.lipsync import PREDICTIONS, SURFACES, Params
from stages.lipsync.pictures import Picture, Studio, pictures_of
from stages.processor import set_up

Film = Callable[[int], Iterable[Picture]]
"""The first so many pictures of something."""
LEAST_MS = 1000 * (LEAST_WINDOWS + CUT) // PICTURES_PER_SECOND


def score(job: Job, params: Params) -> None:
    """Fill `job.out` with scores."""
    set_up(job.workers)
    data = Sequences(job.inputs["data"].path)
    made = _Made.of(job, data)
    wanted = _wanted(made, params.splits)
    studio = Studio.of(data, coloured=made.predictions is not None)
    weights = Path(params.weights)
    judge = _Judge(read_syncnet(weights).to(job.device))
    true = [name for name in wanted if params.truth and _has_motion(data, name)]
    for part in (PREDICTED, TRUTH):
        (job.out / part).mkdir(exist_ok=True)

    def make(name: str) -> list[Path]:
        wave = speech(data.wav(name))
        shown = [(PREDICTED, one, *made.film(studio, one), made.digest(one)) for one in wanted[name]]
        if name in true:
            motion, file = data.vertices(name), data.vertex_file(name)
            subject = data.entry(name).subject
            film = _named(file, lambda count: studio.of_motion(motion, subject, name, count))
            shown.append((TRUTH, name, film, len(motion), digest_of(file)))
        files = []
        for part, one, film, frames, digest in shown:
            found = judge.score(film, wave, frames, data.fps)
            files.append(write_score(job.out, part, one, _written(*found, frames, digest)))
        return files

    job.each(list(wanted), make)
    _finish(job, made, digest_of(weights), sorted(one for names in wanted.values() for one in names), true)


class _Judge:
    """A SyncNet before films and sounds."""

    def __init__(self, network: SyncNet) -> None:
        self.network = network

    def score(self, film: Film, wave: Wave, frames: int, fps: float) -> tuple[Synchrony | None, int]:
        """What it finds, None of what is too short, and how many windows there are."""
        count = windows_of(pictures_of(frames, fps), len(wave))
        if count < LEAST_WINDOWS:
            return None, count
        seen = self.network.look(film(count + PICTURES - 1))
        return synchrony(seen, self.network.hear(mfcc(wave), count)), count


class _Made:
    """Predictions or surfaces, whichever there are."""

    def __init__(self, data: Sequences, predictions: Predictions | None, surfaces: Surfaces | None) -> None:
        self.data, self.predictions, self.surfaces = data, predictions, surfaces

    @classmethod
    def of(cls, job: Job, data: Sequences) -> _Made:
        """DataError where they are none that can be looked at, or do not belong to the data."""
        if SURFACES in job.inputs:
            surfaces = Surfaces(job.inputs[SURFACES].path)
            check_surfaces(data, surfaces)
            return cls(data, None, surfaces)
        predictions = Predictions(job.inputs[PREDICTIONS].path)
        predictions.check_vertices()
        check_predictions(data, predictions)
        return cls(data, predictions, None)

    @property
    def source(self) -> Predictions | Surfaces:
        found = self.predictions or self.surfaces
        assert found is not None
        return found

    @property
    def items(self) -> Mapping[str, Item]:
        return self.source.items

    @property
    def kind(self) -> str:
        return OF_SURFACES if self.surfaces else OF_VERTICES

    def film(self, studio: Studio, name: str) -> tuple[Film, int]:
        """Of one prediction, and how many frames it has."""
        item, file = self.items[name], self.source.file(name)
        if (surfaces := self.surfaces) is not None:
            return _named(file, lambda count: studio.of_surfaces(surfaces, name, count)), item.frames
        assert self.predictions is not None
        motion: NDArray[np.float32] = vertices_of(self.predictions, name, self.data)
        return _named(file, lambda count: studio.of_motion(motion, item.subject, name, count)), len(motion)

    def digest(self, name: str) -> str:
        """Tells a motion from another of the same name."""
        if self.surfaces is None:
            return digest_of(self.source.file(name))
        files = (mesh_file(self.surfaces.path, name, number) for number in range(self.items[name].frames))
        return hashlib.blake2b("".join(map(digest_of, files)).encode(), digest_size=16).hexdigest()


def _named(file: Path, film: Film) -> Film:
    """A film whose errors name what it is of."""

    def shown(count: int) -> Iterator[Picture]:
        try:
            yield from film(count)
        except DataError as error:
            raise error if str(file) in str(error) else DataError(f"{file} cannot be drawn: {error}") from error

    return shown


def _has_motion(data: Sequences, name: str) -> bool:
    return name in data.info.sequences and data.has_motion(name)


def _wanted(made: _Made, splits: Sequence[str]) -> dict[str, list[str]]:
    """id → names of its predictions. StageError where there is none."""
    found: dict[str, list[str]] = {}
    for name, item in sorted(made.items.items()):
        if not splits or item.split in splits:
            found.setdefault(item.id, []).append(name)
    if not found:
        held = ", ".join(sorted({item.split for item in made.items.values()})) or "nothing"
        raise StageError(f"{made.source.path} holds nothing of {', '.join(splits) or 'any split'} (it holds: {held})")
    return dict(sorted(found.items()))


def _written(found: Synchrony | None, windows: int, frames: int, digest: str) -> Score:
    if found is None:
        return Score(None, None, None, None, windows, frames, [], digest)
    late = found.offset * MILLISECONDS
    return Score(found.distance, found.confidence, found.offset, late, windows, frames, list(found.means), digest)


def _finish(job: Job, made: _Made, scorer: str, names: Sequence[str], true: Sequence[str]) -> None:
    """Write the index and tell. StageError where nothing has a score."""
    predicted: dict[str, list[Score]] = {}
    for name in names:
        predicted.setdefault(made.items[name].id, []).append(read_score(job.out, PREDICTED, name))
    groups = {"predicted": list(predicted.values()), "truth": [[read_score(job.out, TRUTH, name)] for name in true]}
    means = {which: _mean(found) for which, found in groups.items() if found}
    too_short = f"shorter than {LEAST_WINDOWS} windows of sound and pictures, {LEAST_MS} ms"
    if not means["predicted"].sequences:
        raise StageError(f"{made.source.path} has no prediction that can be scored: all are {too_short}")
    write_index(job.out, Info(scorer, made.kind, made.source.info.model, names, true, means))
    for which, mean in means.items():
        if mean.lse_d is not None:
            job.say(f"{which}: LSE-D {mean.lse_d:.3f}, LSE-C {mean.lse_c:.3f} over {mean.sequences} sentences")
    short = sum(one.lse_d is None for found in predicted.values() for one in found)
    if short:
        job.say(f"{short} of {len(names)} predictions have no score: they are {too_short}")


def _mean(found: Sequence[Sequence[Score]]) -> Mean:
    """Of each sentence first."""
    scores = [[one for one in some if one.lse_d is not None] for some in found]
    scored = [some for some in scores if some]
    if not scored:
        return Mean(None, None, 0)
    near = np.mean([np.mean([one.lse_d for one in some]) for some in scored])
    sure = np.mean([np.mean([one.lse_c for one in some]) for some in scored])
    return Mean(float(near), float(sure), len(scored))
