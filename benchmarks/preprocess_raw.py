"""Raw data sets of a size for `benchmarks.preprocess`: real pages of non-zero bytes in the layouts of the corpora."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from faces.ply import write_ply
from stages.preprocess.sound import Clip, write_wav
from stages.preprocess.synthetic.head import Head, neutral_head
from stages.preprocess.synthetic_biwi.raw import to_scanner, write_scan

VERTICES = 5023
FRAME_BYTES = VERTICES * 3 * 4
FRAMES = 240
"""Frames of a sequence: four seconds at 60 per second."""
RATE = 22000
BIWI_SUBJECTS = [f"F{k}" for k in range(1, 9)] + [f"M{k}" for k in range(1, 7)]
BIWI_VERTICES = 23370
BIWI_FRAMES = {"vl": 100, "tar": 100, "obj": 50}
"""Of a sequence, by the form of its frames: four seconds at 25 per second, or two."""
BIWI_FRAME_BYTES = {"vl": 4 + BIWI_VERTICES * 12, "tar": 4 + BIWI_VERTICES * 12, "obj": 1_670_000}
Member = tuple[str, bytes]


def write_biwi(root: Path, gigabytes: float, form: str) -> tuple[float, int]:
    """14 subjects, frames as .vl, as .vl in .tar, or as .obj, of about that size; gives GB and how many sequences.

    One head in all of them, moved a little in every frame.
    """
    head = neutral_head(BIWI_VERTICES)
    points, frames = to_scanner(head.points), BIWI_FRAMES[form]
    each = max(2, round(gigabytes * 1e9 / (len(BIWI_SUBJECTS) * frames * BIWI_FRAME_BYTES[form])))
    for name in ("rigid_scans", "audio"):
        (root / name).mkdir(parents=True)
    rng, written, encode = np.random.default_rng(0), 0, _encoder(form, head)
    for s, subject in enumerate(BIWI_SUBJECTS):
        write_scan(root / "rigid_scans" / f"{subject}.obj", points, head.faces)
        for sentence in range(1, each + 1):
            moved = (points + np.float32(0.01 * (100 * s + sentence + frame)) for frame in range(frames))
            members = [encode(frame, head_) for frame, head_ in enumerate(moved, start=1)]
            write_members(root / "faces" / subject / f"e{sentence:02d}", members, packed=form == "tar")
            written += sum(len(content) for _, content in members)
            samples = rng.integers(-9000, 9000, RATE * frames // 25, dtype=np.int16)
            write_wav(root / "audio" / f"{subject}_e{sentence:02d}_cut.wav", Clip(samples, RATE))
    return written / 1e9, each * len(BIWI_SUBJECTS)


def _encoder(form: str, head: Head) -> Callable[[int, NDArray[np.float32]], Member]:
    if form != "obj":
        count = np.array(BIWI_VERTICES, "<u4").tobytes()
        return lambda frame, points: (f"frame_{frame:03d}.vl", count + points.astype("<f4").tobytes())
    triangles = "".join(f"f {a} {b} {c}\n" for a, b, c in (head.faces + 1).tolist())
    line = "v %.6f %.6f %.6f\n"
    return lambda frame, points: (
        f"frame_{frame:03d}.obj",
        ("".join([line % tuple(point) for point in points.tolist()]) + triangles).encode(),
    )


def write_members(folder: Path, members: list[Member], *, packed: bool) -> None:
    """Files in a folder, or in a tar beside where it would be."""
    if not packed:
        folder.mkdir(parents=True)
        for name, content in members:
            (folder / name).write_bytes(content)
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder.with_name(f"{folder.name}.tar"), "w") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(f"{folder.name}/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def write_vocaset(root: Path, gigabytes: float) -> tuple[float, int]:
    """data_verts.npy of about that size, with all that belongs to it; gives its size in GB and how many sequences."""
    sequences = max(1, round(gigabytes * 1e9 / (FRAMES * FRAME_BYTES)))
    root.mkdir()
    rng = np.random.default_rng(0)
    block = (0.1 * rng.standard_normal((FRAMES, VERTICES, 3))).astype(np.float32)
    with open(root / "data_verts.npy", "wb") as stream:
        header = {"descr": "<f4", "fortran_order": False, "shape": (sequences * FRAMES, VERTICES, 3)}
        npy.write_array_header_1_0(stream, header)
        for number in range(sequences):
            block[0, 0, 0] = number  # no two blocks alike
            stream.write(block.tobytes())
    _write_tables(root, sequences, block[0], rng)
    return (root / "data_verts.npy").stat().st_size / 1e9, sequences


def _write_tables(root: Path, sequences: int, template: np.ndarray, rng: np.random.Generator) -> None:
    subjects = [f"subject{number:02d}" for number in range(-(-sequences // 40))]
    names = [(subject, f"sentence{number:02d}") for subject in subjects for number in range(1, 41)][:sequences]
    index: dict[str, dict[str, dict[int, int]]] = {subject: {} for subject in subjects}
    audio: dict[str, dict[str, dict[str, object]]] = {subject: {} for subject in subjects}
    for number, (subject, sentence) in enumerate(names):
        index[subject][sentence] = {frame: number * FRAMES + frame for frame in range(FRAMES)}
        samples = rng.integers(-9000, 9000, RATE * FRAMES // 60, dtype=np.int16)
        audio[subject][sentence] = {"audio": samples, "sample_rate": RATE}
    templates = {subject: template.astype(np.float64) for subject in subjects}
    for name, table in (("subj_seq_to_idx", index), ("raw_audio_fixed", audio), ("templates", templates)):
        (root / f"{name}.pkl").write_bytes(pickle.dumps(table, protocol=2))
    write_ply(root / "FLAME_sample.ply", template, np.array([[0, 1, 2]]))
