"""Writes the synthetic talkers as raw files: VOCASET's layout, frame by frame and sentence by sentence.

`data_verts.npy` is appended to and never held in memory. The same settings give the same bytes.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from faces.ply import write_ply
from faces.regions import write_region
from stages.preprocess.split_file import Split, Splits, write_splits
from stages.preprocess.synthetic.articulation import animate
from stages.preprocess.synthetic.head import neutral_head
from stages.preprocess.synthetic.speech import SAMPLE_RATE, Utterance, compose, speak
from stages.preprocess.synthetic.subjects import Subject, draw_subject
from stages.preprocess.vocaset import RAW_FILES

FPS = 60.0
Track = Callable[[list[tuple[int, int]]], Iterable[tuple[int, int]]]


@dataclass(frozen=True)
class Cast:
    """Who speaks what. subjects, sentences: how many. seconds: of a sentence. seed: of everything drawn.
    noise: metres, of the capture.
    """

    subjects: int
    sentences: int
    seconds: float
    seed: int
    noise: float
    vertices: int = 5023

    def subject(self, number: int) -> Subject:
        return draw_subject(self.seed, number, self.vertices)

    @property
    def splits(self) -> Splits:
        """VOCASET's protocol in small: the last sixth of the subjects tests, the sixth before validates, at least one
        each, on the second half of the sentences; all others train on all sentences.
        """
        held = max(1, self.subjects // 6)
        names = [f"Synthetic_{number + 1:02d}" for number in range(self.subjects)]
        every = frozenset(range(1, self.sentences + 1))
        late = frozenset(range(self.sentences // 2 + 1, self.sentences + 1))
        train, val, test = names[: -2 * held], names[-2 * held : -held], names[-held:]
        return Splits(
            {"train": Split(tuple(train), every), "val": Split(tuple(val), late), "test": Split(tuple(test), late)}
        )

    @property
    def sequences(self) -> list[tuple[int, int]]:
        """(subject number, sentence number) of all sequences that are in a split; nobody needs the others."""
        splits = self.splits
        return [
            (subject, sentence)
            for subject in range(self.subjects)
            for sentence in range(1, self.sentences + 1)
            if splits.of(f"Synthetic_{subject + 1:02d}", sentence_name(sentence))
        ]

    def utterance(self, subject: int, sentence: int) -> tuple[Utterance, np.random.Generator]:
        """What is said, and the source of chance for how."""
        rng = np.random.default_rng([self.seed, subject, sentence])
        return compose(rng, self.seconds, self.subject(subject).manner.rate), rng


def sentence_name(number: int) -> str:
    return f"sentence{number:02d}"


def write_raw(folder: Path, cast: Cast, track: Track = iter) -> None:
    """Write the raw files, a mesh of the topology, region lists and a split file into `folder`.

    track: is given the sequences and yields them back one by one: a place for progress and for stopping.
    """
    folder.mkdir(parents=True, exist_ok=True)
    index: dict[str, dict[str, dict[int, int]]] = {}
    audio: dict[str, dict[str, dict[str, Any]]] = {}
    subjects = [cast.subject(number) for number in range(cast.subjects)]
    with open(folder / RAW_FILES["vertices"], "wb") as stream:
        _write_header(stream, 0, cast.vertices)
        rows = 0
        for number, sentence in track(cast.sequences):
            frames, samples = perform(cast, subjects[number], number, sentence)
            stream.write(frames.tobytes())
            name, key = subjects[number].name, sentence_name(sentence)
            index.setdefault(name, {})[key] = {frame: rows + frame for frame in range(len(frames))}
            audio.setdefault(name, {})[key] = {"audio": samples, "sample_rate": SAMPLE_RATE}
            rows += len(frames)
        stream.seek(0)
        _write_header(stream, rows, cast.vertices)
    tables = {"index": index, "audio": audio, "templates": {s.name: s.template.astype(np.float32) for s in subjects}}
    for name, table in tables.items():
        (folder / RAW_FILES[name]).write_bytes(pickle.dumps(table, protocol=2))
    _write_mesh(folder, cast)


def perform(cast: Cast, subject: Subject, number: int, sentence: int) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """One sentence by one subject: (T, V, 3) float32 at FPS, (N,) int16."""
    utterance, rng = cast.utterance(number, sentence)
    samples = speak(rng, utterance, subject.manner)
    frames = subject.pose(animate(rng, utterance, subject.manner, FPS))
    if cast.noise:
        frames += np.float32(cast.noise) * rng.standard_normal(frames.shape, dtype=np.float32)
    return frames, samples


def _write_header(stream: BinaryIO, rows: int, vertices: int) -> None:
    """The header leaves room for the count of rows to grow, so that it can be written again over itself."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (rows, vertices, 3)}
    npy.write_array_header_1_0(stream, header)


def _write_mesh(folder: Path, cast: Cast) -> None:
    head = neutral_head(cast.vertices)
    write_ply(folder / "FLAME_sample.ply", head.points.astype(np.float32), head.faces)
    (folder / "regions").mkdir(exist_ok=True)
    for name, indices in head.regions.items():
        write_region(folder / "regions" / f"{name}.txt", indices)
    write_splits(folder / "splits.toml", cast.splits)
