"""The work of the stage `features`: one clip after the other through the encoder, then everything into one file.

Finished clips lie in `job.state` and survive an interruption; the HDF5 file is made from them in one go, because a
half-written one is lost.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from faces.errors import DataError
from models.logmel import BANDS, log_mel
from models.sound import standardise
from pipeline.stage import Job
from stages.audio import speech
from stages.features import CHECKPOINT
from stages.features.extractor import Array, Encoded, Extractor
from stages.kinds import LOG_MEL
from stages.kinds.features import HIDDEN, Encoder, Features, write_features
from stages.kinds.sequences import SOUND
from stages.processor import set_up


def extract(job: Job, source: str, *, hidden: bool, dtype: str) -> None:
    """Fill `job.out` with the features of every sound in the slot `data`."""
    sounds = job.inputs["data"].path / SOUND
    names = sorted(path.stem for path in sounds.glob("*.wav"))
    if not names:
        raise DataError(f"{sounds} holds no wav file: run preprocess on a data set with sound")
    extractor = _extractor(job, source, hidden=hidden)
    items = job.state / "items"
    items.mkdir(exist_ok=True)

    def make(name: str) -> list[Path]:
        encoded = extractor.encode(speech(sounds / f"{name}.wav"))
        parts = {f"{name}.npy": encoded.features, f"{name}.hidden.npy": encoded.hidden}
        return [_save(items / file, part.astype(dtype)) for file, part in parts.items() if part is not None]

    def adopt(name: str, folder: Path) -> list[Path]:
        kept = earlier(folder)
        parts = {f"{name}.npy": kept[name]} | ({f"{name}.hidden.npy": kept.hidden(name)} if hidden else {})
        return [_save(items / file, part) for file, part in parts.items()]

    earlier = functools.lru_cache(Features)  # opened once, not for every sequence
    job.each(names, make, adopt=adopt)
    write_features(
        job.out,
        names,
        extractor.facts,
        load=lambda name: np.load(items / f"{name}.npy"),
        **({HIDDEN: lambda name: np.load(items / f"{name}.hidden.npy")} if hidden else {}),
    )


def _extractor(job: Job, source: str, *, hidden: bool) -> Extractor:
    if source == LOG_MEL:
        return Extractor(Encoder(LOG_MEL, LOG_MEL, BANDS), lambda wave: Encoded(log_mel(standardise(wave))))
    # torch and transformers take four seconds to import, and asking for the device may import torch: not for log-mel.

    set_up(job.workers)
    if source == CHECKPOINT:
        from stages.features.own_encoder import own_encoder

        return own_encoder(job.inputs[CHECKPOINT].path, device=job.device)
    from stages.features.speech_encoder import speech_encoder

    return speech_encoder(source, hidden=hidden, device=job.device)


def _save(path: Path, array: Array) -> Path:
    np.save(path, array)
    return path
