"""A tiny FaceTalk: the folders that the README of its release describes, and the stage run on them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faces.errors import DataError
from faces.ply import write_ply
from stages.preprocess import Preprocess
from stages.preprocess.facetalk import Settings
from stages.preprocess.sound import Clip, write_wav
from tests.stages.fake_job import FakeJob

RATE = 4800
IDS = ("030_SEN-01-cramp_small_danger", "030_SEN-09-frown", "037_SEN-01-cramp_small_danger", "037_SEN-10-port")
FRAMES = {name: 5 + k for k, name in enumerate(IDS)}
FIRST = 8
"""The number of the first frame: 9 and 10 sort otherwise as text."""
CODE = 6
TEMPLATE = np.array([[0, 0.15, 0], [0.1, -0.1, 0], [-0.1, -0.1, 0], [0, 0, 0.1]], np.float32)
FACES = np.array([[0, 2, 3], [0, 3, 1], [3, 2, 1]], np.int32)


def vertices(name: str) -> np.ndarray:
    rng = np.random.default_rng(IDS.index(name))
    return (TEMPLATE + 0.01 * rng.standard_normal((FRAMES[name], 4, 3))).astype(np.float32)


def codes(name: str) -> np.ndarray:
    return np.random.default_rng(50 + IDS.index(name)).standard_normal((FRAMES[name], CODE)).astype(np.float32)


def speech(name: str) -> np.ndarray:
    return np.random.default_rng(90 + IDS.index(name)).standard_normal((1, FRAMES[name], 768)).astype(np.float32)


def write_facetalk(root: Path) -> Path:
    for k, name in enumerate(IDS):
        folder = root / name
        flame, nphm = folder / "flame_2023_tracking", folder / "nphm_tracking"
        for place in (flame / "flame_meshes", nphm / "nphm_expressions", nphm / "nphm_meshes", folder / "audio"):
            place.mkdir(parents=True)
        write_ply(flame / "flame_2023_template.ply", TEMPLATE, FACES)
        for row, (points, code) in enumerate(zip(vertices(name), codes(name), strict=True), start=FIRST):
            write_ply(flame / "flame_meshes" / f"frame_{row}.ply", points, FACES)
            key = {"arr_0": code} if k % 2 else {"expression": code[None]}  # any name, any shape of one vector
            np.savez(nphm / "nphm_expressions" / f"frame_{row}.npz", **key)
            (nphm / "nphm_meshes" / f"frame_{row}.ply").write_bytes(b"of marching cubes, never opened")
        samples = np.random.default_rng(0).integers(-3000, 3000, RATE * FRAMES[name] // 24, dtype=np.int16)
        write_wav(folder / "audio" / "cleaned_audio.wav", Clip(samples, RATE))
        (folder / "audio" / "wave2vec_audio_feats.pkl").write_bytes(pickle.dumps(speech(name)))
        (folder / "notes.json").write_text("{}")  # unknown to the README
    (root / "_cache").mkdir()
    return root


def meshes(root: Path, name: str = IDS[0]) -> Path:
    return root / name / "flame_2023_tracking" / "flame_meshes"


def expressions(root: Path, name: str = IDS[0]) -> Path:
    return root / name / "nphm_tracking" / "nphm_expressions"


def run_facetalk(folder: Path, root: Path, *, fps: float = 24.0, **settings: Any) -> FakeJob:
    job = FakeJob.under(folder)
    params = Preprocess.Params(dataset="facetalk", fps=fps)
    Preprocess(params, {"dataset": Settings(root=str(root), **settings)}).run(job)
    return job


def refuse(tmp_path: Path, root: Path, match: str, **settings: Any) -> None:
    with pytest.raises(DataError, match=match) as caught:
        run_facetalk(tmp_path / "job", root, **settings)
    assert "\n" not in str(caught.value)
