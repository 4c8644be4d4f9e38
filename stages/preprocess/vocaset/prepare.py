"""VOCASET's raw files as `Recordings`, of which `stages.preprocess.prepare` makes the artifact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from pipeline.stage import Job
from stages.kinds.card import Check, Source
from stages.kinds.sequences import sequence_id
from stages.preprocess import prepare as shared
from stages.preprocess.prepare import Choice, Name, Sound, leave_out
from stages.preprocess.region_files import Regions, read_folder, read_masks
from stages.preprocess.sound import Clip, Unusable, to_clip
from stages.preprocess.split_file import Splits, read_splits
from stages.preprocess.vocaset import RAW_FILES, Settings
from stages.preprocess.vocaset.raw import Raw, read_raw

VERTICES = 5023
DISAGREEMENT_S = 0.5
"""Sound and motion of VOCASET differ by a few frames; more than this is worth a look."""


def prepare(
    settings: Settings, job: Job, *, dataset: str, step: int, limit: int, source: Source = Settings.source
) -> None:
    """Fill `job.out`. Arguments as in `stages.preprocess.Dataset.prepare`; `dataset` is the name in the index, `source`
    for the card.
    """
    data = Vocaset(settings, read_raw(settings.files))
    splits = read_splits(settings.files["splits"])
    shared.prepare(data, Choice(dataset, source, splits, settings.skip, step, limit), job)


def recordings(settings: Settings) -> tuple[Vocaset, Splits]:
    """The data opened, and the splits."""
    return Vocaset(settings, read_raw(settings.files)), read_splits(settings.files["splits"])


class Vocaset:
    """Implements `Recordings`. The sound is held in memory, the vertices are not."""

    fps = Settings.native_fps
    units = "m"
    up = "y"

    def __init__(self, settings: Settings, raw: Raw) -> None:
        self.root = Path(settings.root)
        self.templates, self.faces = raw.templates, raw.faces
        self.names: Sequence[Name] = sorted(raw.rows.keys() | raw.audio.keys())
        self.regions = _read_regions(settings, raw.vertices.vertices)
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
        for name, sound in sounds.items():
            motion = self.frames(name) / self.fps
            if abs(motion - sound.seconds) > DISAGREEMENT_S:
                yield f"{sequence_id(*name)}: {motion:.2f} s of motion but {sound.seconds:.2f} s of sound"

    def checks(self, sounds: Mapping[Name, Sound]) -> Iterable[Check]:
        vertices = self._raw.vertices.vertices
        yield Check("vertices", f"{VERTICES:,}", f"{vertices:,}", vertices == VERTICES)
        apart = [abs(self.frames(name) / self.fps - sound.seconds) for name, sound in sounds.items()]
        yield Check(
            "sound and motion of a sequence, apart at most",
            f"{DISAGREEMENT_S:g} s",
            f"{max(apart):.2f} s",
            max(apart) <= DISAGREEMENT_S,
        )

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
            raise DataError(f"{where}: {error}; {leave_out(name)}") from error
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataError(
                f"{where}: not a dictionary of audio and sample_rate ({error!r}); {leave_out(name)}"
            ) from error


def _read_regions(settings: Settings, vertices: int) -> Regions:
    masks = settings.files.get("masks")
    regions = read_masks(masks, vertices) if masks else {}
    return regions | (read_folder(Path(settings.regions), vertices) if settings.regions else {})
