"""A tiny data set in VOCASET's raw layout, and the stage run on it without an engine."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from faces.ply import write_ply
from stages.preprocess import Preprocess
from stages.preprocess.vocaset import Settings
from tests.stages.fake_job import FakeJob

TRAIN, VAL, TEST = "FaceTalk_170728_03272_TA", "FaceTalk_170811_03275_TA", "FaceTalk_170809_00138_TA"
SENTENCES = ("sentence01", "sentence21", "sentence40")
RATE = 22000
TRIANGLES = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])


@dataclass
class RawData:
    """What the raw files hold; tests bend it before `write`. Sequence k of a subject has 10 + k frames at 60 fps."""

    vertices: np.ndarray
    index: dict[str, dict[str, dict[int, int]]]
    audio: dict[str, dict[str, dict[str, Any]]]
    templates: dict[str, np.ndarray]
    topology: np.ndarray = field(default_factory=lambda: np.zeros((4, 3)))

    def write(self, root: Path) -> Path:
        root.mkdir(parents=True, exist_ok=True)
        np.save(root / "data_verts.npy", self.vertices)
        tables = {"raw_audio_fixed": self.audio, "templates": self.templates, "subj_seq_to_idx": self.index}
        for name, table in tables.items():
            (root / f"{name}.pkl").write_bytes(pickle.dumps(table, protocol=2))
        write_ply(root / "FLAME_sample.ply", self.topology, TRIANGLES)
        return root

    def rows(self, subject: str, sentence: str) -> np.ndarray:
        return np.array([row for _, row in sorted(self.index[subject][sentence].items())])


def raw_data(subjects: tuple[str, ...] = (TRAIN, VAL, TEST), vertices: int = 4) -> RawData:
    rng = np.random.default_rng(5)
    index: dict[str, dict[str, dict[int, int]]] = {subject: {} for subject in subjects}
    audio: dict[str, dict[str, dict[str, Any]]] = {subject: {} for subject in subjects}
    used = 0
    for subject in subjects:
        for number, sentence in enumerate(SENTENCES):
            frames = 10 + number
            index[subject][sentence] = {frame: used + frame for frame in range(frames)}
            samples = rng.integers(-3000, 3000, size=RATE * frames // 60, dtype=np.int16)
            audio[subject][sentence] = {"audio": samples, "sample_rate": RATE}
            used += frames
    frames_of_all = rng.standard_normal((used, vertices, 3)).astype(np.float32)
    templates = {subject: rng.standard_normal((vertices, 3)) for subject in subjects}
    return RawData(frames_of_all, index, audio, templates, np.zeros((vertices, 3)))


def run_stage(folder: Path, root: Path, *, fps: float = 30.0, limit: int = 0, **settings: Any) -> FakeJob:
    """Run the stage on the raw files in `root`; the artifact is `job.out`."""
    params = Preprocess.Params(dataset="vocaset", fps=fps, limit=limit)
    job = FakeJob.under(folder)
    Preprocess(params, {"dataset": Settings(root=str(root), **settings)}).run(job)
    return job


Bend = Callable[[RawData], None]
