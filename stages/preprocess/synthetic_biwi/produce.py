"""Synthetic talkers in BIWI's raw layout as an artifact, a sentence at a time: written, read by BIWI's reader, removed.

So all of the reader is used, while the disk never holds more frames than the sequences that are being worked on.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.stage import Job
from stages.preprocess import biwi
from stages.preprocess.biwi.frames import FrameFolder
from stages.preprocess.biwi.prepare import prepare
from stages.preprocess.prepare import Name
from stages.preprocess.synthetic.cast import perform
from stages.preprocess.synthetic.produce import written_once
from stages.preprocess.synthetic_biwi import Settings
from stages.preprocess.synthetic_biwi.raw import BiwiCast, write_frames, write_raw


def produce(settings: Settings, job: Job, *, step: int, limit: int) -> None:
    """Fill `job.out`. Arguments as in `stages.preprocess.Dataset.prepare`."""
    cast = BiwiCast(settings.subjects, settings.sentences, settings.seconds, settings.data_seed, settings.noise)
    root = written_once(job, lambda folder, track: write_raw(folder, cast, track))
    read = biwi.Settings(str(root), splits=str(root / "splits.toml"), normalise=settings.normalise)
    prepare(
        read,
        job,
        dataset="synthetic-biwi",
        step=step,
        limit=limit,
        source=Settings.source,
        opener=lambda path, name: Performance(path, name, cast),
    )


@dataclass(frozen=True)
class Performance:
    """A sentence that is spoken when its frames are read. Implements `stages.preprocess.biwi.frames.Motion`."""

    path: Path
    name: Name
    cast: BiwiCast
    ready = False

    @property
    def numbers(self) -> tuple[int, int]:
        """Of the subject and of the sentence."""
        subject, sentence = self.name
        return self.cast.names.index(subject), int(sentence.removeprefix("e"))

    @property
    def frames(self) -> int:
        return self.cast.frames(*self.numbers)

    def read(self, rows: Sequence[int], faces: NDArray[np.int32], vertices: int) -> NDArray[np.float32]:
        number, sentence = self.numbers
        write_frames(self.path, perform(self.cast, self.cast.subject(number), number, sentence)[0])
        try:
            return FrameFolder.open(self.path, self.name).read(rows, faces, vertices)
        finally:
            shutil.rmtree(self.path)
            self.path.mkdir()
