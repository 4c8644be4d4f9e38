"""A tiny data set in the layouts in which BIWI is found, and the stage run on it without an engine."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faces.errors import DataError
from faces.mesh import Mesh, write_mesh
from faces.vl import write_vl
from stages.kinds.sequences import Sequences
from stages.preprocess import Preprocess
from stages.preprocess.biwi import Settings
from stages.preprocess.sound import Clip, write_wav
from tests.stages.fake_job import FakeJob

TRAIN, OTHER, UNSEEN = "F2", "M3", "F1"
SENTENCES = ("e01", "e33", "e37")
RATE = 8000
POINTS = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], float)
TRIANGLES = np.array([[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]])
LIPS, UPPER_FACE = 2, 3
"""Of an octahedron as a scanner sees it, y downwards, the lips are where y is large."""


@dataclass
class BiwiData:
    """What the files hold; tests bend it before `write`. Sequence k of a subject has 9 + k frames and sound as long."""

    motion: dict[tuple[str, str], np.ndarray]
    templates: dict[str, np.ndarray]
    audio: dict[tuple[str, str], np.ndarray]
    faces: dict[str, np.ndarray]

    def write(self, root: Path, ending: str = ".vl") -> Path:
        """The corpus's own layout, with frames as .vl or .obj."""
        write_templates(root / "rigid_scans", self.templates, self.faces)
        for (subject, sentence), frames in self.motion.items():
            write_folder(root / "faces" / subject / sentence, frames, ending)
        self.write_sound(root / "audio", "_cut")
        write_regions(root)
        return root

    def write_ready(self, root: Path, dtype: Any = np.float64) -> Path:
        """What the published scripts leave behind."""
        (root / "vertices_npy").mkdir(parents=True)
        for (subject, sentence), frames in self.motion.items():
            np.save(root / "vertices_npy" / f"{subject}_{sentence}.npy", frames.reshape(len(frames), -1).astype(dtype))
        (root / "templates.pkl").write_bytes(pickle.dumps(self.templates))
        write_mesh(root / "BIWI.ply", Mesh(POINTS.astype(np.float32), TRIANGLES.astype(np.int32)))
        self.write_sound(root / "wav", "")
        write_regions(root)
        return root

    def write_sound(self, folder: Path, end: str) -> None:
        folder.mkdir(parents=True)
        for (subject, sentence), samples in self.audio.items():
            write_wav(folder / f"{subject}_{sentence}{end}.wav", Clip(samples, RATE))

    @property
    def normalised(self) -> BiwiData:
        """As somebody else has normalised it."""
        motion = {name: np.stack([published(frame) for frame in frames]) for name, frames in self.motion.items()}
        return BiwiData(motion, {s: published(t) for s, t in self.templates.items()}, self.audio, self.faces)


def biwi_data(subjects: tuple[str, ...] = (TRAIN, OTHER, UNSEEN), sentences: tuple[str, ...] = SENTENCES) -> BiwiData:
    rng = np.random.default_rng(7)
    templates = {s: 100 * POINTS + 5 * rng.standard_normal(POINTS.shape) + [3, 40, 1300] for s in subjects}
    names = [(subject, sentence) for subject in subjects for sentence in sentences]
    motion, audio = {}, {}
    for number, name in enumerate(names):
        frames = 9 + number % len(sentences)
        motion[name] = (templates[name[0]] + 4 * rng.standard_normal((frames, *POINTS.shape))).astype(np.float32)
        audio[name] = rng.integers(-3000, 3000, RATE * frames // 25, dtype=np.int16)
    return BiwiData(motion, templates, audio, dict.fromkeys(subjects, TRIANGLES))


def published(vertices: np.ndarray) -> np.ndarray:
    """The published steps, one after the other and a triangle at a time: half turn, mean, area."""
    turned = np.array(vertices, float) @ np.diag([1.0, -1.0, -1.0])
    turned = turned - turned.mean(axis=0)
    area = sum(0.5 * np.linalg.norm(np.cross(turned[b] - turned[a], turned[c] - turned[a])) for a, b, c in TRIANGLES)
    return turned / np.sqrt(area)


def write_folder(folder: Path, frames: np.ndarray, ending: str = ".vl") -> None:
    folder.mkdir(parents=True)
    for number, points in enumerate(frames, start=1):
        if ending == ".vl":
            write_vl(folder / f"frame_{number:03d}.vl", points)
        else:
            write_mesh(folder / f"{number}{ending}", Mesh(points, TRIANGLES.astype(np.int32)))


def write_templates(folder: Path, templates: dict[str, np.ndarray], faces: dict[str, np.ndarray]) -> None:
    """Corners as the corpus has them, f v/vt/vn."""
    folder.mkdir(parents=True)
    for subject, points in templates.items():
        lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in points] + ["vt 0 0", "vn 0 0 1"]
        lines += ["f " + " ".join(f"{corner}/1/1" for corner in face) for face in faces[subject] + 1]
        (folder / f"{subject}.obj").write_text("\n".join(lines))


def write_regions(root: Path) -> None:
    (root / "regions").mkdir()
    (root / "regions" / "lve.txt").write_text(f"{LIPS}, 0")
    (root / "regions" / "fdd.txt").write_text(f"{UPPER_FACE}, 0")


def run_biwi(folder: Path, root: Path, *, fps: float = 25.0, limit: int = 0, **settings: Any) -> FakeJob:
    """Run the stage on the files in `root`; the artifact is `job.out`."""
    job = FakeJob.under(folder)
    params = Preprocess.Params(dataset="biwi", fps=fps, limit=limit)
    Preprocess(params, {"dataset": Settings(root=str(root), **settings)}).run(job)
    return job


def refuse(tmp_path: Path, root: Path, match: str, **settings: Any) -> None:
    """The stage stops with one sentence, and no index makes what was written look finished."""
    with pytest.raises(DataError, match=match) as caught:
        run_biwi(tmp_path / "job", root, **settings)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "job" / "out" / "sequences.json").exists()


def skips(tmp_path: Path, root: Path, names: list[str], reason: str, **settings: Any) -> FakeJob:
    job = run_biwi(tmp_path / "job", root, **settings)
    read = Sequences(job.out)
    assert {name: reason in why for name, why in read.info.skipped.items()} == dict.fromkeys(sorted(names), True)
    assert not set(names) & set(read.ids())
    assert any(f"skipped {len(names)} of 9 sequences" in line and reason in line for line in job.said)
    return job
