"""VOCASET's raw files as `Recordings`, of which `stages.preprocess.prepare` makes the artifact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from pipeline.stage import Job
from stages.kinds.card import Source
from stages.kinds.sequences import sequence_id
from stages.preprocess import prepare as shared
from stages.preprocess.prepare import Choice, Name, Sound
from stages.preprocess.sound import Clip, Unusable, to_clip
from stages.preprocess.split_file import Splits, read_splits
from stages.preprocess.vocaset import RAW_FILES, Settings
from stages.preprocess.vocaset.raw import Raw, read_raw
from stages.preprocess.vocaset.ready import ReadyVocaset
from stages.preprocess.vocaset.recordings import Vocaset


def prepare(
    settings: Settings, job: Job, *, dataset: str, step: int, limit: int, source: Source = Settings.source
) -> None:
    """Fill `job.out`. Arguments as in `stages.preprocess.Dataset.prepare`; `dataset` is the name in the index, `source`
    for the card.
    """
    data, splits = recordings(settings)
    shared.prepare(data, Choice(dataset, source, splits, settings.skip, step, limit), job, threads=job.workers)


def recordings(settings: Settings) -> tuple[ReadyVocaset | RawVocaset, Splits]:
    """The data opened, and the splits."""
    data = ReadyVocaset(settings) if settings.is_ready else RawVocaset(settings, read_raw(settings.files))
    return data, read_splits(settings.files["splits"])


class RawVocaset(Vocaset):
    """Implements `Recordings`. The sound is held in memory, the vertices are not."""

    def __init__(self, settings: Settings, raw: Raw) -> None:
        names = sorted(raw.rows.keys() | raw.audio.keys())
        super().__init__(settings, raw.templates, raw.faces, raw.vertices.vertices, names)
        self.where = f"the sequences in {raw.vertices.path}"
        self._raw = raw
        self._audio = settings.files["audio"]
        self._clips: dict[Name, Clip] = {}

    def frames(self, name: Name) -> int:
        return len(self._raw.rows[name])

    def clip(self, name: Name) -> Clip:
        if name not in self._clips:
            self._clips[name] = self._read_clip(name)
        return self._clips[name]

    def motion(self, name: Name, step: int) -> NDArray[np.float32]:
        vertices = self._raw.vertices
        frames = vertices.gather(self._raw.rows[name][::step])
        where = f"{vertices.path}, {sequence_id(*name)}, frame "
        shared.check_finite(frames, lambda row: f"{where}{row * step}", name)
        return frames

    def remarks(self, sounds: Mapping[Name, Sound]) -> Iterable[str]:
        for name in sorted(self._raw.gaps & sounds.keys()):
            yield f"{sequence_id(*name)}: its frame numbers are not 0, 1, 2, …; frames are taken in their order"

    def _read_clip(self, name: Name) -> Clip:
        if not len(self._raw.rows.get(name, ())):
            raise Unusable(f"no frames in {RAW_FILES['index']}")
        if name[0] not in self.templates:
            raise Unusable(f"no template of its subject in {RAW_FILES['templates']}")
        if name not in self._raw.audio:
            raise Unusable(f"no sound in {RAW_FILES['audio']}")
        stored = self._raw.audio.pop(name)  # one copy of the sound in memory, not two
        where = f"{self._audio}, {sequence_id(*name)}"
        try:
            return to_clip(stored["audio"], int(stored["sample_rate"]))
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataError(f"{where}: not a dictionary of audio and sample_rate ({error!r})") from error
