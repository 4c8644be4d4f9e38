"""The work of the stage `voice`: every sound as 16-bit mono at its own rate, and one face for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

from faces.errors import DataError
from faces.ply import write_ply
from pipeline.stage import Job
from stages.kinds import sequences as kind
from stages.kinds.checkpoint import Checkpoint
from stages.kinds.sequences import Entry, Info, Sequences, check_name
from stages.preprocess.container_sound import read_sound
from stages.preprocess.sound import Clip, Unusable, write_wav
from stages.voice import SPLIT
from stages.voice.face import Face, of_mesh, of_subject
from stages.voice.sound_files import sounds_in


def prepare(job: Job, audio: str, subject: str, mesh: str | None) -> None:
    """Fill `job.out` with sequences of sound alone."""
    checkpoint = Checkpoint(job.inputs["checkpoint"].path)
    data = Sequences(job.inputs["data"].path) if "data" in job.inputs else None
    face = find_face(checkpoint, data, check_name(subject, "subject"), mesh)
    files = sounds_in(Path(audio))
    (job.out / kind.SOUND).mkdir(exist_ok=True)
    job.each(list(files), lambda name: _write(job.out, name, files[name]), unit="sounds")
    skipped = {name: why for name, file in files.items() if (why := _why_not(job.out, name, file))}
    if len(skipped) == len(files):
        told = "; ".join(f"{files[name]}: {why}" for name, why in list(skipped.items())[:3])
        raise DataError(f"there is nothing to speak: {told}: record it again")
    for name, why in skipped.items():
        job.say(f"skipped {files[name].name}: {why}")
    entries = {name: _entry(job.out, name, subject) for name in files if name not in skipped}
    write_face(job.out, face, subject)
    write_index(job.out, checkpoint, face, {SPLIT: [subject]}, entries, skipped)


def find_face(checkpoint: Checkpoint, data: Sequences | None, subject: str, mesh: str | None) -> Face:
    """The mesh where there is one, else the subject's template. DataError where neither can be had."""
    if mesh:
        return of_mesh(Path(mesh), checkpoint, data)
    if data is None:
        raise DataError(f"there are no data to take the face of {subject} from: give a mesh of the neutral face")
    return of_subject(data, subject, checkpoint)


def read_clip(file: Path) -> Clip:
    """A sound of the user's. Unusable where it drives no face; DataError, with what to do, where it is damaged."""
    try:
        return read_sound(file)
    except DataError as error:
        raise DataError(f"{error}: export it again as wav, or leave it out") from error


def _write(out: Path, name: str, file: Path) -> list[Path]:
    """The sound's wav; nothing for one that cannot drive a face."""
    try:
        return [write_wav(out / kind.SOUND / f"{name}.wav", read_clip(file))]
    except Unusable:
        return []


def _why_not(out: Path, name: str, file: Path) -> str:
    """Why a sound was left out, "" where it was not. Another attempt may have left it out, so that it is read again."""
    if (out / kind.SOUND / f"{name}.wav").is_file():
        return ""
    try:
        read_clip(file)
    except Unusable as reason:
        return str(reason)
    return "it changed while it was read"


def _entry(out: Path, name: str, subject: str) -> Entry:
    sound = soundfile.info(str(out / kind.SOUND / f"{name}.wav"))
    return Entry(subject, name, SPLIT, 0, sound.frames, sound.samplerate)


def write_face(out: Path, face: Face, subject: str) -> None:
    """Template, topology and regions."""
    np.savez(out / kind.TEMPLATES, allow_pickle=False, **{subject: face.template})
    write_ply(out / kind.TOPOLOGY, face.template, face.faces)
    for name, indices in face.regions.items():
        kind.write_region(out, name, indices)


def write_index(
    out: Path,
    checkpoint: Checkpoint,
    face: Face,
    subjects: Mapping[str, Sequence[str]],
    entries: dict[str, Entry],
    skipped: dict[str, str],
) -> None:
    """The index of sequences for the network of a checkpoint. subjects: split → subjects, beside those trained on."""
    facts, config = checkpoint.facts, checkpoint.config
    every = {"train": list(facts.train_subjects), **subjects}
    info = Info(config.dataset, facts.fps, config.units, face.up, len(face.template), every, entries, skipped)
    kind.write_index(out, info)
