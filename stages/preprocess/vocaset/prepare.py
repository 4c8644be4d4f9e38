"""VOCASET's raw layout → the kind `sequences`, one sequence at a time, so that memory does not grow with the data.

A sequence that cannot be used is skipped, counted and listed with its reason; numbers that are no numbers stop the
stage with the sequence, the frame and the way to leave it out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.ply import write_ply
from pipeline.stage import Job
from stages.kinds import sequences as kind
from stages.kinds.sequences import Entry, Info, sequence_id
from stages.preprocess.region_files import Regions, read_folder, read_masks
from stages.preprocess.sound import Clip, Unusable, to_clip, write_wav
from stages.preprocess.split_file import Splits, read_splits
from stages.preprocess.vocaset import RAW_FILES, Settings
from stages.preprocess.vocaset.raw import Name, Raw, read_raw

DISAGREEMENT_S = 0.5
"""Sound and motion of VOCASET differ by a few frames; more than this is worth a look."""

WITHOUT = {
    "train": "nothing can be trained on it",
    "val": "the last weights are taken for the best",
    "test": "nothing can be tested on it",
}
"""What an empty split means."""


def prepare(settings: Settings, job: Job, *, dataset: str, step: int, limit: int) -> None:
    """Fill `job.out`. Arguments as in `stages.preprocess.Dataset.prepare`; `dataset` is the name in the index."""
    raw = read_raw(settings.files)
    splits = read_splits(settings.files["splits"])
    regions = _read_regions(settings, raw.vertices.vertices)
    clips, skipped = _choose(raw, settings)
    chosen = {sequence_id(*name): name for name in _limited(clips, splits, limit)}
    _tell(job, raw, clips, skipped, limit, len(chosen))
    entries = {key: _entry(raw, clips[name], name, splits, step) for key, name in chosen.items()}
    _tell_splits(job, splits, entries)
    for folder in (kind.VERTICES, kind.SOUND):
        (job.out / folder).mkdir(exist_ok=True)
    job.each(list(chosen), lambda key: _write_sequence(job.out, key, raw, chosen[key], clips[chosen[key]], step))
    _write_shared(job.out, raw, splits, regions)
    fps = settings.native_fps / step
    kind.write_index(job.out, Info(dataset, fps, "m", "y", raw.vertices.vertices, splits.subjects, entries, skipped))


def _read_regions(settings: Settings, vertices: int) -> Regions:
    masks = settings.files.get("masks")
    regions = read_masks(masks, vertices) if masks else {}
    return regions | (read_folder(Path(settings.regions), vertices) if settings.regions else {})


def _choose(raw: Raw, settings: Settings) -> tuple[dict[Name, Clip], dict[str, str]]:
    """The sequences that can be used, with their sound, sorted; and why the others cannot."""
    clips, skipped = dict[Name, Clip](), dict[str, str]()
    known = sorted(raw.rows.keys() | raw.audio.keys())
    unknown = set(settings.skip) - {sequence_id(*name) for name in known}
    if unknown:
        raise DataError(f"skip names {', '.join(sorted(unknown))}, which the data do not have; check the spelling")
    for name in known:
        try:
            clips[name] = _clip(raw, name, settings)
        except Unusable as reason:
            skipped[sequence_id(*name)] = str(reason)
    if not clips:
        raise DataError(f"{settings.root} holds no sequence that can be used; {_count(skipped)}")
    return clips, skipped


def _clip(raw: Raw, name: Name, settings: Settings) -> Clip:
    if sequence_id(*name) in settings.skip:
        raise Unusable("left out by the parameter skip")
    if name not in raw.rows or not len(raw.rows[name]):
        raise Unusable(f"no frames in {RAW_FILES['index']}")
    if name[0] not in raw.templates:
        raise Unusable(f"no template of its subject in {RAW_FILES['templates']}")
    if name not in raw.audio:
        raise Unusable(f"no sound in {RAW_FILES['audio']}")
    stored = raw.audio.pop(name)  # one copy of the sound in memory, not two
    where = f"{settings.files['audio']}, {sequence_id(*name)}"
    try:
        return to_clip(stored["audio"], int(stored["sample_rate"]))
    except DataError as error:
        raise DataError(f"{where}: {error}; {_leave_out(name)}") from error
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(
            f"{where}: not a dictionary of audio and sample_rate ({error!r}); {_leave_out(name)}"
        ) from error


def _leave_out(name: Name) -> str:
    return f'repair it or leave it out with skip = ["{sequence_id(*name)}"]'


def _limited(names: Iterable[Name], splits: Splits, limit: int) -> list[Name]:
    """At most `limit` sequences of each subject in each split, in order; all where it is 0."""
    taken, chosen = Counter[tuple[str, str]](), list[Name]()
    for name in names:
        group = (name[0], splits.of(*name))
        taken[group] += 1
        if not limit or taken[group] <= limit:
            chosen.append(name)
    return chosen


def _entry(raw: Raw, clip: Clip, name: Name, splits: Splits, step: int) -> Entry:
    frames = len(range(0, len(raw.rows[name]), step))
    return Entry(*name, splits.of(*name), frames, len(clip.samples), clip.rate)


def _write_sequence(out: Path, key: str, raw: Raw, name: Name, clip: Clip, step: int) -> list[Path]:
    frames = raw.vertices.gather(raw.rows[name][::step])
    bad = ~np.isfinite(frames).all(axis=(1, 2))
    if bad.any():
        frame = int(np.argmax(bad)) * step
        raise DataError(f"{raw.vertices.path}, {key}, frame {frame}: NaN or infinite vertices; {_leave_out(name)}")
    return [
        _write_npy(out / kind.VERTICES / f"{key}.npy", frames.reshape(len(frames), -1)),
        write_wav(out / kind.SOUND / f"{key}.wav", clip),
    ]


def _write_npy(file: Path, array: NDArray[np.float32]) -> Path:
    np.save(file, array)
    return file


def _write_shared(out: Path, raw: Raw, splits: Splits, regions: Regions) -> None:
    """Templates, topology (on the first training subject's template, where there is one) and regions."""
    tables: dict[str, Any] = dict(raw.templates)
    np.savez(out / kind.TEMPLATES, **tables)
    first = next((s for s in splits.subjects["train"] if s in raw.templates), min(raw.templates))
    write_ply(out / kind.TOPOLOGY, raw.templates[first], raw.faces)
    for name, indices in regions.items():
        kind.write_region(out, name, indices)


def _tell(job: Job, raw: Raw, clips: dict[Name, Clip], skipped: dict[str, str], limit: int, chosen: int) -> None:
    if skipped:
        job.say(f"skipped {len(skipped)} of {len(clips) + len(skipped)} sequences: {_count(skipped)}; see {kind.INDEX}")
    if limit and chosen < len(clips):
        job.say(f"limit = {limit}: {chosen} of {len(clips)} sequences taken")
    for name in sorted(raw.gaps & clips.keys()):
        job.say(f"{sequence_id(*name)}: its frame numbers are not 0, 1, 2, …; frames are taken in their order")
    for name, clip in clips.items():
        motion = len(raw.rows[name]) / Settings.native_fps
        if abs(motion - clip.seconds) > DISAGREEMENT_S:
            job.say(f"{sequence_id(*name)}: {motion:.2f} s of motion but {clip.seconds:.2f} s of sound")


def _count(skipped: dict[str, str]) -> str:
    return ", ".join(f"{count} × {reason}" for reason, count in sorted(Counter(skipped.values()).items()))


def _tell_splits(job: Job, splits: Splits, entries: dict[str, Entry]) -> None:
    for split, subjects in splits.subjects.items():
        present = {entry.subject for entry in entries.values() if entry.split == split}
        missing = [subject for subject in subjects if subject not in present]
        if not present:
            job.say(f"warning: the split {split!r} has no sequence: {WITHOUT[split]}")
        elif missing:
            job.say(f"the split {split!r} has no sequence of {', '.join(missing)}")
