"""The work of the stage `features`: one clip after the other through the encoder, then everything into one file.

Finished clips lie in `job.state` and survive an interruption; the HDF5 file is made from them in one go, because a
half-written one is lost.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from faces.errors import DataError
from models.logmel import BANDS, log_mel
from models.sound import standardise
from pipeline.stage import Job
from stages.audio import speech
from stages.features import CHECKPOINT, RECOGNISER, Params
from stages.features.extractor import Array, Encoded, Extractor, Text, with_text
from stages.kinds import LOG_MEL
from stages.kinds.features import HIDDEN, LOGITS, RATE, Encoder, Features, write_features
from stages.kinds.sequences import SOUND


class Source(NamedTuple):
    """names: of the sequences. encode: one of them → its features. rate: of these, a second."""

    names: list[str]
    facts: Encoder
    encode: Callable[[str], Encoded]
    rate: float = RATE


def extract(job: Job, params: Params) -> None:
    """Fill `job.out` with the features of every sequence in the slot `data`."""
    source = _of_frames(job, params) if params.framewise else _of_sounds(job, params)
    names = source.names
    items = job.state / "items"
    items.mkdir(exist_ok=True)
    groups = [HIDDEN, LOGITS] if params.text else [HIDDEN] if params.hidden else []

    def file(name: str, group: str) -> Path:
        return items / (f"{name}.{group}.npy" if group else f"{name}.npy")

    def make(name: str) -> list[Path]:
        encoded = source.encode(name)
        parts = {"": encoded.features, HIDDEN: encoded.hidden, LOGITS: encoded.logits}
        return [
            _save(file(name, group), part.astype(params.dtype)) for group, part in parts.items() if part is not None
        ]

    def adopt(name: str, folder: Path) -> list[Path]:
        kept = earlier(folder)
        readers = {HIDDEN: kept.hidden, LOGITS: kept.logits}
        parts = {"": kept[name]} | {group: readers[group](name) for group in groups}
        return [_save(file(name, group), part) for group, part in parts.items()]

    def load(group: str) -> Callable[[str], Array]:
        return lambda name: np.load(file(name, group))

    earlier = functools.lru_cache(Features)  # opened once, not for every sequence
    job.each(names, make, adopt=adopt)
    more = {group: load(group) for group in groups}
    write_features(job.out, names, source.facts, load(""), source.rate, **more)


def _of_sounds(job: Job, params: Params) -> Source:
    sounds = job.inputs["data"].path / SOUND
    names = sorted(path.stem for path in sounds.glob("*.wav"))
    if not names:
        raise DataError(f"{sounds} holds no wav file: run preprocess on a data set with sound")
    extractor = _extractor(job, params)
    return Source(names, extractor.facts, lambda name: extractor.encode(speech(sounds / f"{name}.wav")))


def _of_frames(job: Job, params: Params) -> Source:
    from stages.features.per_frame import per_frame

    names, frames = per_frame(job, params)
    return Source(names, frames.facts, lambda name: Encoded(frames.encode(name)), frames.rate)


def _extractor(job: Job, params: Params) -> Extractor:
    if params.encoder == LOG_MEL:
        heard = Extractor(Encoder(LOG_MEL, LOG_MEL, BANDS), lambda wave: Encoded(log_mel(standardise(wave))))
        if not params.text:
            return heard
    # torch and transformers take four seconds to import, and asking for the device may import torch: not for log-mel.
    from stages.processor import set_up

    set_up(job.workers)
    if params.encoder == CHECKPOINT:
        from stages.features.own_encoder import own_encoder

        heard = own_encoder(job.inputs[CHECKPOINT].path, device=job.device)
    elif params.encoder != LOG_MEL:
        from stages.features.speech_encoder import hearing_text, speech_encoder

        if params.hears_itself:
            return hearing_text(params.encoder, device=job.device)
        heard = speech_encoder(params.encoder, hidden=params.hidden, device=job.device)
    return with_text(heard, _text(job, params, heard.facts)) if params.text else heard


def _text(job: Job, params: Params, made: Encoder) -> Text:
    if params.recogniser == CHECKPOINT:
        from stages.features.own_recogniser import own_text

        return own_text(job.inputs[RECOGNISER].path, made, device=job.device)
    from stages.features.speech_encoder import pretrained_text

    assert params.recogniser, "without one the encoder hears itself"
    return pretrained_text(params.recogniser, device=job.device)


def _save(path: Path, array: Array) -> Path:
    # Convolutions give a transposed view, which would be other bytes than what comes back from an earlier artifact.
    np.save(path, np.ascontiguousarray(array))
    return path
