"""What a frozen speech encoder says of each frame of the motion: computed, or read off a track that holds it.

Rows of a track may be of any number a second: data are not always of the frame rate that they name, so that the rows
of a sequence are brought to as many as it has frames, both end points aligned, and no time is trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from models.sound import Wave
from pipeline.stage import Job
from stages.audio import speech
from stages.features import TRACK, Params
from stages.features.extractor import Array
from stages.kinds.features import FRAMES, Encoder
from stages.kinds.sequences import Sequences
from stages.kinds.tracks import Rows, read_track

if TYPE_CHECKING:
    from models.speech import SpeechEncoder

ALIKE = 0.1
"""Deviations of a track that its rows may be from what an encoder says for that to be taken for what made them: between
resampling before and behind the transformer, and weights that were tuned on."""
MOST_NAMED = 5


class Frames(NamedTuple):
    """facts: what goes into the artifact. encode: a sequence's name → (T, C). rate: frames a second."""

    facts: Encoder
    encode: Callable[[str], Array]
    rate: float


def per_frame(job: Job, params: Params) -> tuple[list[str], Frames]:
    """The sequences' names and what makes their features. DataError where the data lack what is read."""
    data = Sequences(job.inputs["data"].path)
    if not (names := data.ids()):
        raise DataError(f"{data.path} holds no sequence: prepare some")
    rows = _rows(data, params.track, names) if params.track else None
    if params.encoder == TRACK:
        assert rows is not None, "Stage.check asks for the track"
        facts = Encoder(f"track {params.track}", FRAMES, rows.track.size)
        return names, Frames(facts, _read(job, data, rows), data.fps)
    encoder = _encoder(job, params, data.fps)
    if rows is None:
        return names, Frames(encoder.facts, lambda name: _heard(data, encoder, name), data.fps)
    _compare(job, data, rows, encoder)
    return names, Frames(encoder.facts, _read(job, data, rows), data.fps)


class FrameEncoder(NamedTuple):
    """facts: what goes into the artifact. encode: a raw 16 kHz wave and T, 0 where the sound alone tells → (T, W)."""

    facts: Encoder
    encode: Callable[[Wave, int], Array]


def _encoder(job: Job, params: Params, fps: float) -> FrameEncoder:
    from stages.features.speech_encoder import frame_encoder
    from stages.processor import set_up

    set_up(job.workers)
    facts, network = frame_encoder(params.encoder, params.weights, device=job.device)
    return FrameEncoder(facts, lambda wave, frames: encoded(network, wave, frames, fps))


def encoded(network: SpeechEncoder, wave: Wave, frames: int, fps: float) -> Array:
    """A raw 16 kHz wave → (T, W), as FaceFormer changes the rate: between the convolutions and the transformer. frames:
    T; 0: as many as networks make of the sound. DataError for a sound too short for one."""
    import torch

    from models.resample import align, frame_count
    from models.sound import standardise

    with torch.no_grad():
        features = network.convolve(torch.from_numpy(standardise(wave))[None].to(network.masked_spec_embed.device))
        length = features.shape[1]
        if not (count := frames or frame_count(length, fps)):
            raise DataError(f"{len(wave) / 16000:.3f} s of sound are too short for one frame at {fps:g} a second")
        states = network(align(features, [length], [count], "interpolate"), [count])
    found: Array = states[0].float().cpu().numpy()
    return found


def _heard(data: Sequences, encoder: FrameEncoder, name: str) -> Array:
    try:
        return encoder.encode(speech(data.wav(name)), data.entry(name).frames)
    except DataError as error:
        if name in str(error):
            raise
        raise DataError(f"{name}: {error}") from error


def _rows(data: Sequences, track: str, names: Sequence[str]) -> Rows:
    """The track. DataError where there is none, or a sequence lacks it or the frames that it would be brought to."""
    remedy = "name one of these, or prepare the data with it (FaceTalk's speech_features: audio_features = true in the "
    rows = read_track(data.path, track, "", f"{remedy}preprocess step)")
    if lacking := [name for name in names if name not in rows]:
        raise DataError(
            f"{data.path} lacks the track {track!r} of {_few(lacking)}: leave them out with skip in the preprocess "
            "step, or compute the features of all, with per_frame = true and no track"
        )
    if still := [name for name in names if not data.has_motion(name)]:
        raise DataError(
            f"{data.path} holds the sound of {_few(still)} alone, so that nobody knows how many frames its track is "
            "of: compute the features, with per_frame = true and no track"
        )
    return rows


def _read(job: Job, data: Sequences, rows: Rows) -> Callable[[str], Array]:
    """Rows of a sequence as a step a frame. What was to be changed for that is told once."""
    frames = {name: data.entry(name).frames for name in data.ids()}
    other = [name for name, count in frames.items() if rows.track.rows[name] != count]
    if other:
        shares = sorted(rows.track.rows[name] / frames[name] for name in other)
        job.say(
            f"{len(other)} of {len(frames)} sequences have other rows than frames, {shares[0]:.3g} to {shares[-1]:.3g} "
            "of a frame: brought to one each, end points aligned"
        )
    return lambda name: to_frames(rows, name, frames[name])


def to_frames(rows: Rows, name: str, frames: int) -> NDArray[np.float32]:
    """Rows (N, C) of a sequence → (frames, C), linear in time with both end points aligned. DataError for NaN."""
    found = np.array(rows[name], np.float32)
    if not np.isfinite(found).all():
        raise DataError(
            f"{rows.folder} holds rows of {name} that are not numbers (NaN or infinity): leave it out with skip"
        )
    if len(found) == frames:
        return found
    import torch

    from models.resample import interpolate

    return np.ascontiguousarray(interpolate(torch.from_numpy(found), frames).numpy())


def _compare(job: Job, data: Sequences, rows: Rows, encoder: FrameEncoder) -> None:
    """Hold the named encoder against the rows of one sequence. DataError where it makes features of another size."""
    facts = encoder.facts
    if facts.channels != rows.track.size:
        raise DataError(
            f"{rows.folder} has rows of {rows.track.size} numbers, and {facts.name} makes {facts.channels}: name the "
            f"encoder that made them, or {TRACK!r} where nobody knows it"
        )
    name = data.ids()[0]
    given = to_frames(rows, name, data.entry(name).frames)
    apart = float(np.sqrt(np.square(_heard(data, encoder, name) - given).mean()) / max(float(given.std()), 1e-12))
    if apart > ALIKE:
        job.say(
            f"warning: of {name}, {facts.name} says what is {apart:.2g} deviations from the track: it may not be what "
            "made it, and would then hear sounds that have none otherwise"
        )
    else:
        job.say(f"of {name}, {facts.name} says what the track holds, to {apart:.1g} of its deviation")


def _few(names: Iterable[str]) -> str:
    found = list(names)
    more = len(found) - MOST_NAMED
    return ", ".join([*found[:MOST_NAMED], *([f"and {more} more"] if more > 0 else [])])
