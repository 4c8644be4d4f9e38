"""Writes the synthetic talkers as raw files: VOCASET's layout, frame by frame and sentence by sentence.

`data_verts.npy` is appended to and never held in memory. The same settings give the same bytes.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from faces.ply import write_ply
from faces.regions import write_region
from stages.kinds.sequences import write_transcripts
from stages.preprocess.split_file import write_splits
from stages.preprocess.synthetic.cast import Cast, perform
from stages.preprocess.synthetic.head import Head, neutral_head
from stages.preprocess.vocaset import RAW_FILES

Track = Callable[[list[tuple[int, int]]], Iterable[tuple[int, int]]]


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
            name, key = subjects[number].name, cast.sentence(sentence)
            index.setdefault(name, {})[key] = {frame: rows + frame for frame in range(len(frames))}
            audio.setdefault(name, {})[key] = {"audio": samples, "sample_rate": cast.rate}
            rows += len(frames)
        stream.seek(0)
        _write_header(stream, rows, cast.vertices)
    tables = {"index": index, "audio": audio, "templates": {s.name: s.template.astype(np.float32) for s in subjects}}
    for name, table in tables.items():
        (folder / RAW_FILES[name]).write_bytes(pickle.dumps(table, protocol=2))
    write_transcripts(folder, cast.transcripts())
    _write_mesh(folder, cast)


def _write_header(stream: BinaryIO, rows: int, vertices: int) -> None:
    """The header leaves room for the count of rows to grow, so that it can be written again over itself."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (rows, vertices, 3)}
    npy.write_array_header_1_0(stream, header)


def _write_mesh(folder: Path, cast: Cast) -> None:
    head = neutral_head(cast.vertices)
    write_ply(folder / "FLAME_sample.ply", head.points.astype(np.float32), head.faces)
    write_regions(folder, head)
    write_splits(folder / "splits.toml", cast.splits)


def write_regions(folder: Path, head: Head) -> None:
    """Write regions/<name>.txt."""
    (folder / "regions").mkdir(exist_ok=True)
    for name, indices in head.regions.items():
        write_region(folder / "regions" / f"{name}.txt", indices)
