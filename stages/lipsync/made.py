"""What is scored: predictions in the data's topology, or surfaces of a head model, and the true faces beside either."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from faces.errors import DataError
from pipeline.errors import StageError
from pipeline.stage import Job
from stages.kinds.predictions import Item, Predictions, vertices_of
from stages.kinds.predictions import check_alike as check_predictions
from stages.kinds.readings import digest_of
from stages.kinds.sequences import Sequences
from stages.kinds.surfaces import Surfaces, mesh_file
from stages.kinds.surfaces import check_alike as check_surfaces
from stages.kinds.synchrony import OF_SURFACES, OF_VERTICES
from stages.lipsync import PREDICTIONS, SURFACES
from stages.lipsync.judge import Film
from stages.lipsync.pictures import Picture, Studio


@dataclass(frozen=True)
class Shown:
    """One motion. frames: as many as it has. motion: tells it from another of the same name."""

    film: Film
    frames: int
    motion: str


class Made:
    """All that was predicted of a data set's sentences."""

    def __init__(self, data: Sequences, predictions: Predictions | None, surfaces: Surfaces | None) -> None:
        self.data, self.predictions, self.surfaces = data, predictions, surfaces
        # Meshes of surfaces have no mouth, teeth or eyes of their own that could be told apart.
        self.studio = Studio.of(data, coloured=surfaces is None)

    @classmethod
    def of(cls, job: Job, data: Sequences) -> Made:
        """DataError where there is nothing that can be looked at, or where it does not belong to the data."""
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

    def wanted(self, splits: Sequence[str]) -> dict[str, list[str]]:
        """id → names of its predictions. StageError where there is none."""
        found: dict[str, list[str]] = {}
        for name, item in sorted(self.items.items()):
            if not splits or item.split in splits:
                found.setdefault(item.id, []).append(name)
        if not found:
            held = ", ".join(sorted({item.split for item in self.items.values()})) or "nothing"
            raise StageError(
                f"{self.source.path} holds nothing of {', '.join(splits) or 'any split'} (it holds: {held})"
            )
        return dict(sorted(found.items()))

    def predicted(self, name: str) -> Shown:
        """One prediction."""
        item, file = self.items[name], self.source.file(name)
        if (surfaces := self.surfaces) is not None:
            film = _named(file, lambda count: self.studio.of_surfaces(surfaces, name, count))
            return Shown(film, item.frames, _digest(surfaces, name))
        assert self.predictions is not None
        motion = vertices_of(self.predictions, name, self.data)
        film = _named(file, lambda count: self.studio.of_motion(motion, item.subject, name, count))
        return Shown(film, len(motion), digest_of(file))

    def has_truth(self, name: str) -> bool:
        """Whether a sentence has a true motion."""
        return name in self.data.info.sequences and self.data.has_motion(name)

    def truth(self, name: str) -> Shown:
        """A sentence's true motion."""
        motion, file, subject = self.data.vertices(name), self.data.vertex_file(name), self.data.entry(name).subject
        film = _named(file, lambda count: self.studio.of_motion(motion, subject, name, count))
        return Shown(film, len(motion), digest_of(file))


def _digest(surfaces: Surfaces, name: str) -> str:
    files = [mesh_file(surfaces.path, name, number) for number in range(surfaces.items[name].frames)]
    try:
        parts = "".join(map(digest_of, files))
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read ({error.strerror}): make it again with meshes") from error
    return hashlib.blake2b(parts.encode(), digest_size=16).hexdigest()


def _named(file: Path, film: Film) -> Film:
    """A film whose errors name what it is of."""

    def shown(count: int) -> Iterator[Picture]:
        try:
            yield from film(count)
        except DataError as error:
            raise error if str(file) in str(error) else DataError(f"{file} cannot be drawn: {error}") from error

    return shown
