"""The work of the stage `clip`: motion is held against the network and its sound, and written as sequences have it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from faces.errors import DataError
from faces.vertex_order import size_of
from pipeline.stage import Job
from stages.clip import SPLIT, Params
from stages.clip.pairs import Pair, pairs_in, without_sound
from stages.kinds import sequences as kind
from stages.kinds.checkpoint import Checkpoint
from stages.kinds.sequences import Entry, Sequences, check_name
from stages.preprocess.sound import Clip, Unusable, write_wav
from stages.preprocess.vertex_file import VertexFile
from stages.voice.face import Face, check_order
from stages.voice.prepare import find_face, read_clip, write_face, write_index

Motion = NDArray[np.float32]

MOST_APART = (0.5, 0.1)
"""Seconds, and share of the longer, that motion and sound may differ in length: beyond both the rate is another."""
FAR = 3.0
"""Times its own motion that a clip may stay off the neutral face before that is taken for somebody else's."""
NOTABLE = 0.005
"""Of a head's size: below it nothing is said."""


def prepare(job: Job, params: Params) -> None:
    """Fill `job.out` with sequences of one speaker. DataError where a clip cannot be one of this network's speakers."""
    checkpoint = Checkpoint(job.inputs["checkpoint"].path)
    data = Sequences(job.inputs["data"].path) if "data" in job.inputs else None
    name = check_name(params.name, "the parameter name")
    face = find_face(checkpoint, data, params.subject or "", params.mesh)
    pairs = pairs_in(Path(params.motion))
    for file in without_sound(Path(params.motion)):
        job.say(f"left out {file.name}: it has no sound beside it")
    for folder in (kind.VERTICES, kind.SOUND):
        (job.out / folder).mkdir(exist_ok=True)

    def make(clip: str) -> list[Path]:
        motion, sound = read_pair(pairs[clip], face, checkpoint)
        _tell_distance(job, pairs[clip].motion, motion, face)
        np.save(job.out / kind.VERTICES / f"{clip}.npy", motion.reshape(len(motion), -1))
        wav = write_wav(job.out / kind.SOUND / f"{clip}.wav", sound)
        return [job.out / kind.VERTICES / f"{clip}.npy", wav]

    job.each(list(pairs), make, unit="clips")
    entries = {clip: _entry(job.out, clip, name) for clip in pairs}
    write_face(job.out, face, name)
    write_index(job.out, checkpoint, face, {SPLIT: [name]}, entries, {})


def read_pair(pair: Pair, face: Face, checkpoint: Checkpoint) -> tuple[Motion, Clip]:
    """(T, V, 3) float32 and the sound. DataError, one sentence, for whatever does not fit."""
    facts = checkpoint.facts
    file = VertexFile.open(pair.motion, flat=True)
    if file.vertices != facts.vertices:
        raise DataError(
            f"{pair.motion} has {file.vertices:,} vertices and the network was trained on faces of "
            f"{facts.vertices:,}: give motion of that topology"
        )
    if not file.frames:
        raise DataError(f"{pair.motion} holds no frame: export it again")
    motion = file.gather(np.arange(file.frames))
    bad = ~np.isfinite(motion).all(axis=(1, 2))
    if bad.any():
        raise DataError(f"{pair.motion}, frame {np.argmax(bad)}: NaN or infinite vertices; export it again")
    if len(motion) > 1 and not (motion[1:] != motion[0]).any():
        raise DataError(f"{pair.motion} stands still: all its frames are one; export it again with its motion")
    check_order(pair.motion, motion[0], face.template, face.faces, "the neutral face", checkpoint.config.units)
    sound = _sound(pair.sound)
    seconds, longest = len(motion) / facts.fps, max(len(motion) / facts.fps, sound.seconds)
    if abs(seconds - sound.seconds) > max(MOST_APART[0], MOST_APART[1] * longest):
        raise DataError(
            f"{pair.motion} has {len(motion)} frames, {seconds:.2f} s at the network's {facts.fps:g} a second, and "
            f"{pair.sound.name} {sound.seconds:.2f} s: give motion at that rate, and the sound that goes with it"
        )
    return motion, sound


def _sound(file: Path) -> Clip:
    try:
        return read_clip(file)
    except Unusable as reason:
        raise DataError(f"{file}: {reason}; record it again, or leave the clip out") from None


def _tell_distance(job: Job, file: Path, motion: Motion, face: Face) -> None:
    """Motion that never comes near the neutral face is somebody else's, and its style would be their difference."""
    nearest = float(np.sqrt(np.square(motion - face.template).mean(axis=(1, 2)).min()))
    moved = float(np.sqrt(np.square(motion - motion.mean(axis=0)).mean()))
    if nearest > max(FAR * moved, NOTABLE * size_of(face.template)):
        job.say(
            f"warning: {file.name} stays {nearest / size_of(face.template):.1%} of a head's size away from the neutral "
            "face: is it that of this speaker? Put neutral.ply beside the clips, or name the face with --subject"
        )


def _entry(out: Path, clip: str, speaker: str) -> Entry:
    sound = soundfile.info(str(out / kind.SOUND / f"{clip}.wav"))
    frames = len(np.load(out / kind.VERTICES / f"{clip}.npy", mmap_mode="r"))
    return Entry(speaker, clip, SPLIT, frames, sound.frames, sound.samplerate)
