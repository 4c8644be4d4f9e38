"""A tiny Multiface: real counts of vertices on a made-up surface, in the layouts in which it is found."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faces.errors import DataError
from faces.mesh import Mesh, write_mesh
from stages.preprocess import Preprocess
from stages.preprocess.multiface import Settings
from stages.preprocess.multiface.topology import HIGH, LOW, REMOVED_COUNT, TRACKED, VERTICES
from stages.preprocess.sound import Clip, write_wav
from tests.stages.fake_job import FakeJob

RATE = 4800
SPEAKERS = ("m--20180226--0000--6674443--GHS", "m--20180227--0000--6795937--GHS")
TAKES = ("SEN_a_good_morrow", "SEN_All_your_wishes", "SEN_ambidextrous")
"""In order: "_" after the letters, so that "SEN_a_good" is not the first."""
NUMBERED = ("SEN_All_your_wishes", "SEN_ambidextrous", "SEN_a_good_morrow")
FIRST_FRAME = 20917


@cache
def gone() -> np.ndarray:
    """(1134,) the vertices to take away, spread over the mesh."""
    return np.sort(np.random.default_rng(5).choice(TRACKED, REMOVED_COUNT, replace=False))


@cache
def surface() -> Mesh:
    """A wound tube of 6,172 points inside the published box, neighbours in number and in space."""
    turn = 2 * np.pi * np.arange(VERTICES) / 100
    points = np.stack([80 * np.cos(turn), np.linspace(-180, 150, VERTICES), 60 * np.sin(turn) - 40], axis=1)
    first = np.arange(VERTICES - 101)
    faces = np.concatenate(
        [np.stack([first, first + 1, first + 100], 1), np.stack([first + 1, first + 101, first + 100], 1)]
    )
    return Mesh(points.astype(np.float32), faces.astype(np.int32))


def head(speaker: int) -> np.ndarray:
    return (surface().vertices * (1 + 0.02 * speaker)).astype(np.float32)


def frames(speaker: int, take: int, count: int = 6) -> np.ndarray:
    rng = np.random.default_rng(10 * speaker + take)
    return (head(speaker) + 0.2 * rng.standard_normal((count, VERTICES, 3))).astype(np.float32)


def tracked(kept: np.ndarray) -> np.ndarray:
    """With the vertices that go among them, far out."""
    full = np.full((TRACKED, 3), 900, np.float32)
    full[np.setdiff1d(np.arange(TRACKED), gone())] = kept
    return full


def boxed(points: np.ndarray) -> np.ndarray:
    """One axis after the other, as the published numbers are used."""
    scaled = [2 * (points[..., k] - LOW[k]) / (HIGH[k] - LOW[k]) - 1 for k in range(3)]
    return np.stack(scaled, axis=-1)


def write_raw(root: Path, takes: tuple[str, ...] = TAKES) -> Path:
    for k, speaker in enumerate(SPEAKERS):
        for n, take in enumerate(takes):
            write_take(root / speaker / "tracked_mesh" / take, frames(k, n))
            write_sound(root / speaker / "audio" / f"{take}.wav")
        write_take(root / speaker / "tracked_mesh" / "E001_Neutral_Eyes_Open", head(k)[None])
        write_take(root / speaker / "tracked_mesh" / "E002_Swallow", head(k)[None])
    write_shared(root)
    return root


def write_take(folder: Path, sequence: np.ndarray) -> None:
    folder.mkdir(parents=True)
    for number, points in enumerate(sequence, start=FIRST_FRAME):
        tracked(points).tofile(folder / f"{number:06d}.bin")
        (folder / f"{number:06d}_transform.txt").write_text("1 0 0 0")


def write_sound(file: Path, count: int = 6) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    write_wav(file, Clip(rng.integers(-3000, 3000, count * RATE // 30, dtype=np.int16), RATE))


def write_shared(root: Path) -> None:
    write_mesh(root / "face_template.obj", surface())
    (root / "removed_vertices.txt").write_text(", ".join(map(str, gone())))


def write_ready(root: Path) -> Path:
    """What FaceDiffuser's preparation leaves: arrays in the box, float64, and a pickle of templates."""
    (root / "vertices_npy").mkdir(parents=True)
    for name in ("2_01", "2_41", "2_46", "1_46"):
        scaled = boxed(frames(int(name[0]), int(name[2:])).astype(np.float64))
        np.save(root / "vertices_npy" / f"{name}.npy", scaled.reshape(len(scaled), -1))
        write_sound(root / "wav" / f"{name}.wav")
    np.savez(root / "templates.npz", **{str(k): boxed(head(k)).reshape(-1) for k in (1, 2)})
    write_mesh(root / "face_template.obj", surface())
    return root


def run_multiface(folder: Path, root: Path, *, fps: float = 30.0, **settings: Any) -> FakeJob:
    job = FakeJob.under(folder)
    params = Preprocess.Params(dataset="multiface", fps=fps)
    Preprocess(params, {"dataset": Settings(root=str(root), **settings)}).run(job)
    return job


def refuse(tmp_path: Path, root: Path, match: str, **settings: Any) -> None:
    with pytest.raises(DataError, match=match) as caught:
        run_multiface(tmp_path / "job", root, **settings)
    assert "\n" not in str(caught.value)
