"""Synthetic talkers as an artifact: raw files are made in the job's scratch folder, VOCASET's adapter does the rest."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pipeline.errors import Interrupted
from pipeline.stage import Job
from stages.preprocess import vocaset
from stages.preprocess.synthetic import Settings
from stages.preprocess.synthetic.cast import Cast
from stages.preprocess.synthetic.raw import Track, write_raw
from stages.preprocess.vocaset.prepare import prepare


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
    prepare(read, job, dataset="synthetic", step=step, limit=limit, source=Settings.source)


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
