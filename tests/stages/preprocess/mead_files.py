"""A tiny 3D-MEAD in the forms in which it is found, and the stage run on it without an engine."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from faces.errors import DataError
from faces.ply import write_ply
from stages.preprocess import Preprocess
from stages.preprocess.mead import Settings
from stages.preprocess.mead.layout import EMOTIONS
from stages.preprocess.sound import Clip, write_wav
from tests.faces.flame_models import tiny_tables, write_npz
from tests.stages.fake_job import FakeJob
from tests.stages.preprocess.av_files import write_m4a

RATE = 8000
IDS = ("M003_001_0_0", "M003_025_3_2", "M003_028_3_0", "W009_001_0_0", "W009_028_6_1")
FRAMES = {name: 10 + k for k, name in enumerate(IDS)}
FACES = np.arange(12, dtype=np.int32).reshape(-1, 3)


def parameters(name: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(IDS.index(name))
    sizes = {"shape": 300, "exp": 100, "jaw": 3}
    return {part: 0.3 * rng.standard_normal((1, FRAMES[name], n)).astype(np.float32) for part, n in sizes.items()}


def samples(name: str, rate: int = RATE) -> np.ndarray:
    rng = np.random.default_rng(9)
    return rng.integers(-3000, 3000, rate * FRAMES[name] // 25, dtype=np.int16)


def write_param(root: Path) -> Path:
    """ProbTalk3D's arrays, and wav files of the same names."""
    (root / "param").mkdir(parents=True)
    for name in IDS:
        np.save(root / "param" / f"{name}.npy", np.concatenate(list(parameters(name).values()), axis=2))
    write_wavs(root / "wav")
    write_npz(root / "model.npz", tiny_tables())
    return root


def write_emote(root: Path) -> Path:
    """EMOTE's reconstruction and MEAD's own .m4a, each in its folders."""
    for name in IDS:
        subject, number, emotion, level = name.split("_")
        place = f"{EMOTIONS[int(emotion)]}/level_{int(level) + 1}/{number}"
        folder = root / "EMICA-MEAD_flame2020" / subject / "front" / place
        folder.mkdir(parents=True)
        with h5py.File(folder / "shape_pose_cam.hdf5", "w") as stored:
            for part, array in parameters(name).items():
                stored.create_dataset(part, data=array, compression="gzip")
            stored["cam"] = np.zeros((1, 3))
        write_m4a(root / "audio" / subject / "audio" / f"{place}.m4a", samples(name, 16000), 16000)
    write_npz(root / "model.npz", tiny_tables())
    return root


def write_ready(root: Path) -> Path:
    """TalkingStyle's folder."""
    rng = np.random.default_rng(4)
    (root / "vertices_npy").mkdir(parents=True)
    for name in IDS:
        np.save(root / "vertices_npy" / f"{name}.npy", rng.standard_normal((FRAMES[name], 36)))
    templates = {subject: rng.standard_normal((12, 3)) for subject in ("M003", "W009")}
    (root / "templates.pkl").write_bytes(pickle.dumps(templates, protocol=2))
    (root / "templates").mkdir()
    write_ply(root / "templates" / "FLAME_sample.ply", np.zeros((12, 3), np.float32), FACES)
    (root / "regions").mkdir()
    (root / "regions" / "lip.txt").write_text("5, 3, 5, 1")
    write_wavs(root / "wav")
    return root


def write_wavs(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in IDS:
        write_wav(folder / f"{name}.wav", Clip(samples(name), RATE))


def run_mead(folder: Path, root: Path, *, fps: float = 25.0, **settings: Any) -> FakeJob:
    job = FakeJob.under(folder)
    if (root / "model.npz").exists():
        settings = {"flame": str(root / "model.npz"), **settings}
    params = Preprocess.Params(dataset="mead", fps=fps)
    Preprocess(params, {"dataset": Settings(root=str(root), **settings)}).run(job)
    return job


def refuse(tmp_path: Path, root: Path, match: str, **settings: Any) -> None:
    with pytest.raises(DataError, match=match) as caught:
        run_mead(tmp_path / "job", root, **settings)
    assert "\n" not in str(caught.value)
