"""The work of the stage `segment`: motion, sound and tracks of one sequence after the other, cut alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from pipeline.stage import Job
from stages.kinds import sequences as kind
from stages.kinds import tracks
from stages.kinds.segments import Segment, write_segments
from stages.kinds.sequences import Entry, Sequences
from stages.kinds.shared_files import share
from stages.kinds.tracks import Rows, Track, read_tracks, write_rows
from stages.preprocess.sound import Clip, Unusable, read_wav, to_clip, write_wav
from stages.segment import FOLDERS, SHARED, Params
from stages.segment.cuts import Clock, Cut, cuts, left_out

PER_FRAME = "one a frame"
"""What a track that had other rows than frames is said to have after it was cut."""
MOST_NAMED = 3


def cut(job: Job, params: Params) -> None:
    """Fill `job.out` with segments. DataError where there are none."""
    cutter = Cutter(job, params, Sequences(job.inputs["data"].path))
    for folder in (kind.VERTICES, kind.SOUND):
        (job.out / folder).mkdir(exist_ok=True)
    job.each(list(cutter.planned), cutter.write)
    made = {name: segment for name, segment in cutter.segments() if cutter.reason(name, segment) == ""}
    if not made:
        raise DataError(f"{cutter.data.path} has no sequence of {params.frames} frames with sound: {_remedy(params)}")
    _write_rest(job, cutter, made)
    _tell(job, cutter, made)


class Cutter:
    """planned: id of a sequence with motion → where it is cut."""

    def __init__(self, job: Job, params: Params, data: Sequences) -> None:
        self.out, self.params, self.data = job.out, params, data
        self.tracks = read_tracks(data.path)
        self.planned = {
            name: cuts(entry.frames, params.frames, params.step, params.rest)
            for name, entry in sorted(data.info.sequences.items())
            if entry.frames
        }
        self._reason = cache(self._unusable)
        # Of the sequence that is being cut.
        self._clip = lru_cache(1)(lambda source: _read(data, source))
        self._rows = lru_cache(len(self.tracks) or 1)(self._per_frame)

    def segments(self) -> Iterator[tuple[str, Segment]]:
        """Id → segment, of all that were planned."""
        for source, planned in self.planned.items():
            for one in planned:
                yield segment_id(source, one), self._segment(source, one)

    def clock(self, source: str) -> Clock:
        entry = self.data.entry(source)
        return Clock(entry.samples, entry.sample_rate, entry.frames, self.data.fps, self.params.sound == "ends")

    def entry(self, name: str, segment: Segment) -> Entry:
        """What the index says of a segment."""
        of = self.data.entry(segment.source)
        sentence = of.sentence + name.removeprefix(segment.source)
        return Entry(of.subject, sentence, of.split, segment.frames, segment.samples, of.sample_rate)

    def reason(self, name: str, segment: Segment) -> str:
        """Why a segment was left out; "" where it was made."""
        there = (self.out / kind.VERTICES / f"{name}.npy").is_file()
        return "" if there else self._reason(segment)

    def write(self, source: str) -> list[Path]:
        """All segments of a sequence."""
        planned = [(segment_id(source, one), self._segment(source, one)) for one in self.planned[source]]
        usable = [(name, segment) for name, segment in planned if not self._reason(segment)]
        return [file for name, segment in usable for file in self._write(name, segment)]

    def _segment(self, source: str, one: Cut) -> Segment:
        clock = self.clock(source)
        first, last = (clock.at(frame) if clock.samples else 0 for frame in (one.start, one.start + one.frames))
        return Segment(source, one.start, one.frames, first, last - first)

    def _write(self, name: str, segment: Segment) -> Iterator[Path]:
        source, own = segment.source, slice(segment.start, segment.start + segment.frames)
        entry = self.data.entry(source)
        whole = segment.frames == entry.frames
        target = self.out / kind.VERTICES / f"{name}.npy"
        if whole:
            yield share(self.data.vertex_file(source), target)
        else:
            np.save(target, self.data.vertices(source)[own].reshape(segment.frames, -1))
            yield target
        if entry.samples:
            target = self.out / kind.SOUND / f"{name}.wav"
            all_of_it = segment.samples == entry.samples
            yield share(self.data.wav(source), target) if all_of_it else write_wav(target, self._sound(segment))
        for track, rows in self.tracks.items():
            if source in rows:
                yield write_rows(self.out, track, name, self._rows(track, source)[own])

    def _sound(self, segment: Segment) -> Clip:
        sound = self._clip(segment.source)
        samples = sound.samples[segment.first_sample : segment.first_sample + segment.samples]
        return to_clip(samples, sound.rate)

    def _unusable(self, segment: Segment) -> str:
        """Why no speech encoder could hear a segment."""
        if not self.data.entry(segment.source).samples:
            return ""
        try:
            self._sound(segment)
        except Unusable as reason:
            return str(reason)
        return ""

    def _per_frame(self, track: str, source: str) -> NDArray[np.float32]:
        """(T, D): a row for each frame. DataError where a framewise track has others."""
        rows, frames = self.tracks[track], self.data.entry(source).frames
        if not rows.track.framewise:
            return per_frame(rows, source, frames)
        if (found := rows.track.rows[source]) != frames:
            raise DataError(
                f"{self.data.path} has the track {track!r} not for every frame of {source} ({found} of {frames} rows): "
                "leave it out with skip in the preprocess step"
            )
        return rows[source]


def segment_id(source: str, one: Cut) -> str:
    """ "<id>_f000048", so that a sequence's segments stand in their order, one behind the other."""
    return f"{source}_f{one.start:06d}"


def per_frame(rows: Rows, source: str, frames: int) -> NDArray[np.float32]:
    """Rows (N, D) of a sequence → (frames, D), linear in time with both end points aligned."""
    import torch

    from models.resample import interpolate

    return interpolate(torch.from_numpy(np.array(rows[source], np.float32)), frames).numpy()


def _read(data: Sequences, source: str) -> Clip:
    """A sequence's sound. DataError where it is not what the index says."""
    entry, file = data.entry(source), data.wav(source)
    try:
        sound = read_wav(file)
    except Unusable as reason:
        raise DataError(f"{file}: {reason}; leave it out with skip in the preprocess step") from None
    if (len(sound.samples), sound.rate) != (entry.samples, entry.sample_rate):
        raise DataError(
            f"{file} has {len(sound.samples)} samples of {sound.rate} a second, and the index says {entry.samples} of "
            f"{entry.sample_rate}: make it again with preprocess"
        )
    return sound


def _write_rest(job: Job, cutter: Cutter, made: Mapping[str, Segment]) -> None:
    """What belongs to all segments, and the tables."""
    data, out = cutter.data, job.out
    inside = [file for folder in FOLDERS for file in sorted((data.path / folder).glob("*"))]
    for file in [*(data.path / name for name in SHARED), *inside]:
        if file.is_file():
            share(file, out / file.relative_to(data.path))
    entries = {name: cutter.entry(name, segment) for name, segment in made.items()}
    kind.write_index(out, replace(data.info, sequences=entries, skipped={**data.info.skipped, **_skipped(cutter)}))
    write_segments(out, made)
    tracks.write_index(out, {name: _declared(rows.track) for name, rows in cutter.tracks.items()}, made)
    whole = {name: one.source for name, one in made.items() if one.frames == data.entry(one.source).frames}
    if said := {name: data.transcripts[source] for name, source in whole.items() if source in data.transcripts}:
        kind.write_transcripts(out, said)


def _declared(track: Track) -> Track:
    about = track.about if track.framewise else f"{track.about}, {PER_FRAME}"
    return Track(about, framewise=True, head=track.head)


def _skipped(cutter: Cutter) -> dict[str, str]:
    """Id of a sequence, or of a segment, → why there is none of it."""
    still = {name: "it is sound alone" for name in cutter.data.ids() if name not in cutter.planned}
    short = {
        name: f"its {cutter.data.entry(name).frames} frames make no segment of {cutter.params.frames}"
        for name, planned in cutter.planned.items()
        if not planned
    }
    unheard = {name: why for name, segment in cutter.segments() if (why := cutter.reason(name, segment))}
    return still | short | unheard


def _tell(job: Job, cutter: Cutter, made: Mapping[str, Segment]) -> None:
    data, skipped = cutter.data, _skipped(cutter)
    sources = {segment.source for segment in made.values()}
    frames = {name: data.entry(name).frames for name in cutter.planned}
    lost = sum(left_out(frames[name], planned) for name, planned in cutter.planned.items())
    share_lost = f"; {lost / sum(frames.values()):.1%} of the frames are in none" if lost else ""
    job.say(f"{len(made)} segments of {len(sources)} sequences{share_lost}")
    if skipped:
        named = ", ".join(f"{name}: {why}" for name, why in list(skipped.items())[:MOST_NAMED])
        more = f", and {len(skipped) - MOST_NAMED} more" if len(skipped) > MOST_NAMED else ""
        job.say(f"left out: {named}{more}; see {kind.INDEX}")
    for split in data.info.subjects:
        if data.ids(split) and not any(data.entry(segment.source).split == split for segment in made.values()):
            job.say(f"warning: no sequence of the split {split!r} is long enough, so that it is empty")
    if gone := len(data.transcripts) - len(Sequences(job.out).transcripts):
        job.say(
            f"{gone} transcripts were left out: they are of more than a segment, and nobody knows which words are where"
        )
    _tell_clocks(job, cutter)


def _tell_clocks(job: Job, cutter: Cutter) -> None:
    """Sound and motion that differ in length by more than a frame are out of step by as much at the end."""
    clocks = {name: cutter.clock(name) for name in cutter.planned}
    apart = {name: clock.apart for name, clock in clocks.items() if clock.samples and not clock.stretched}
    if apart and apart[worst := max(apart, key=lambda name: apart[name])] > 1:
        job.say(
            f"warning: sound and motion of {worst} differ by {apart[worst]:.1f} frames in length, and were cut by the "
            "frame rate: sound = 'ends' has them begin and end together"
        )


def _remedy(params: Params) -> str:
    return "take fewer" if params.rest == "keep" else "take fewer, or keep shorter ones with rest = 'keep'"
