"""Synthetic talkers as an artifact: raw files are made in the job's scratch folder, VOCASET's adapter does the rest."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Interrupted
from pipeline.stage import Job
from stages.kinds.tracks import Track as Rows
from stages.preprocess import vocaset
from stages.preprocess.prepare import Choice, Name, prepare
from stages.preprocess.split_file import read_splits
from stages.preprocess.synthetic import Settings
from stages.preprocess.synthetic.cast import Cast, controls
from stages.preprocess.synthetic.motion import CONTROLS
from stages.preprocess.synthetic.raw import Track, write_raw
from stages.preprocess.vocaset.prepare import RawVocaset
from stages.preprocess.vocaset.raw import read_raw

CONTROL_CURVES = "controls"
"""The track."""
ABOUT = (
    f"the {len(CONTROLS)} controls that pose the synthetic head, before the noise of its capture: "
    f"{', '.join(CONTROLS)}; {CONTROLS[0]} in degrees, the others 1 at a strong gesture"
)


class TalkingHeads(RawVocaset):
    """Implements `Recordings`, and `Tracked` by what the heads were posed with."""

    tracks: Mapping[str, Rows] = {CONTROL_CURVES: Rows(ABOUT, framewise=True)}

    def __init__(self, settings: vocaset.Settings, cast: Cast) -> None:
        super().__init__(settings, read_raw(settings.files))
        self._cast = cast
        self._numbers = {cast.sentence(number): number for number in range(1, cast.sentences + 1)}

    def rows(self, name: Name, step: int) -> Mapping[str, NDArray[np.floating]]:
        number = self._cast.names.index(name[0])
        curves = controls(self._cast, self._cast.subject(number), number, self._numbers[name[1]])
        return {CONTROL_CURVES: curves[::step]}


def produce(settings: Settings, job: Job, *, step: int, limit: int) -> None:
    """Fill `job.out`. Arguments as in `stages.preprocess.Dataset.prepare`."""
    cast = Cast(
        settings.subjects,
        settings.sentences,
        settings.seconds,
        settings.data_seed,
        settings.noise,
        one_voice=settings.one_voice,
    )
    root = written_once(job, lambda folder, track: write_raw(folder, cast, track))
    read = vocaset.Settings(str(root), regions=str(root / "regions"), splits=str(root / "splits.toml"))
    choice = Choice("synthetic", Settings.source, read_splits(read.files["splits"]), read.skip, step, limit)
    prepare(TalkingHeads(read, cast), choice, job, threads=job.workers)


def written_once(job: Job, write: Callable[[Path, Track], None]) -> Path:
    """The folder of raw files below `job.state`, written unless an earlier attempt has finished it.

    write: is given a folder and what shows the progress over its sequences.
    """
    root = job.state / "raw"
    if not root.exists():

        def watched(sequences: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
            for sequence in job.track(list(sequences), unit="talks"):
                if job.stopping():
                    raise Interrupted("stopped by the user while the talking heads were made; run again to begin anew")
                yield sequence

        partial = job.state / "raw.tmp"
        shutil.rmtree(partial, ignore_errors=True)
        write(partial, watched)
        partial.rename(root)  # the name says that it is complete
    return root
