"""Writes the synthetic talkers in BIWI's raw layout: everything but the frames at once, frames a sentence at a time.

`rigid_scans/<subject>.obj`, `audio/<subject>_<sentence>_cut.wav`, `faces/<subject>/<sentence>/frame_001.vl`, and what
the corpus does not have, a folder of regions and a split file. The same settings give the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.normals import vertex_normals
from faces.vl import write_vl
from stages.kinds.sequences import write_transcripts
from stages.preprocess.sound import Clip, write_wav
from stages.preprocess.split_file import Split, Splits, write_splits
from stages.preprocess.synthetic.cast import Cast, voice
from stages.preprocess.synthetic.head import neutral_head
from stages.preprocess.synthetic.raw import Track, write_regions

MM_PER_M = 1000.0
SCANNER = np.array([0.0, 40.0, 1300.0])
"""Where the middle of the head is, in millimetres as a scanner sees it: x right, y down, z away."""


@dataclass(frozen=True)
class BiwiCast(Cast):
    """Who speaks what, in BIWI's form."""

    vertices: int = 23370
    fps: float = 25.0
    rate: int = 44100

    def sentence(self, number: int) -> str:
        return f"e{number:02d}"

    @property
    def splits(self) -> Splits:
        """BIWI's protocol in small: all subjects but the last third train; of their sentences the last tenth is test-a
        and the tenth before validates, at least one each. The other subjects speak the sentences of test-a: test-b.
        """
        unseen, held = max(1, self.subjects // 3), max(1, self.sentences // 10)
        known, others = tuple(self.names[:-unseen]), tuple(self.names[-unseen:])
        numbers = range(1, self.sentences + 1)
        test = frozenset(numbers[-held:])
        return Splits(
            {
                "train": Split(known, frozenset(numbers[: -2 * held]), "e"),
                "val": Split(known, frozenset(numbers[-2 * held : -held]), "e"),
                "test-a": Split(known, test, "e"),
                "test-b": Split(others, test, "e"),
            }
        )


def write_raw(folder: Path, cast: BiwiCast, track: Track = iter) -> None:
    """Write everything but the frames, for which there are empty folders.

    track: is given the sequences and yields them back one by one: a place for progress and for stopping.
    """
    for name in ("rigid_scans", "audio"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    subjects = [cast.subject(number) for number in range(cast.subjects)]
    head = neutral_head(cast.vertices)
    for subject in subjects:
        write_scan(folder / "rigid_scans" / f"{subject.name}.obj", to_scanner(subject.template), head.faces)
    for number, sentence in track(cast.sequences):
        name, key = subjects[number].name, cast.sentence(sentence)
        clip = Clip(voice(cast, subjects[number], number, sentence), cast.rate)
        write_wav(folder / "audio" / f"{name}_{key}_cut.wav", clip)
        (folder / "faces" / name / key).mkdir(parents=True, exist_ok=True)
    write_transcripts(folder, cast.transcripts())
    write_regions(folder, head)
    write_splits(folder / "splits.toml", cast.splits)


def write_frames(folder: Path, frames: NDArray[np.float32]) -> None:
    """Write (T, V, 3) metres as frame_001.vl and so on."""
    for number, points in enumerate(to_scanner(frames), start=1):
        write_vl(folder / f"frame_{number:03d}.vl", points)


def to_scanner(points: NDArray[np.floating]) -> NDArray[np.float32]:
    """(…, V, 3) from metres, y up and z towards the viewer, to what the corpus has."""
    turned: NDArray[np.float32] = (points * [MM_PER_M, -MM_PER_M, -MM_PER_M] + SCANNER).astype(np.float32)
    return turned


def write_scan(file: Path, vertices: NDArray[np.float32], faces: NDArray[np.integer]) -> None:
    """Write a mesh as the corpus does: every corner with its texture and its normal, `f v/vt/vn`."""
    lines = [f"v {x} {y} {z}\n" for x, y, z in vertices]
    lines += [f"vt {x} {y}\n" for x, y in np.round(0.5 + (vertices - SCANNER)[:, :2] / 500, 4).tolist()]
    lines += [f"vn {x} {y} {z}\n" for x, y, z in np.round(vertex_normals(vertices, faces), 4).tolist()]
    lines += [f"f {a}/{a}/{a} {b}/{b}/{b} {c}/{c}/{c}\n" for a, b, c in (faces + 1).tolist()]
    file.write_text("".join(lines), encoding="ascii")
