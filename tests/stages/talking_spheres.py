"""Tiny artifacts of the kinds `sequences` and `predictions` whose vertices make a solid: an egg with a moving chin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from faces.ply import write_ply
from stages.kinds import predictions, sequences
from tests.faces.shapes import sphere

MESH = sphere(8)
VERTICES = len(MESH.vertices)
SUBJECTS = ("A", "B", "C")
SENTENCES = ("s1", "s2")
CONDITIONS = ("A", "B")
RATE = 22_000
MODEL = "halfway"


def template(subject: str) -> NDArray[np.float32]:
    return MESH.vertices * np.float32(1 + 0.1 * SUBJECTS.index(subject))


def motion(subject: str, frames: int, strength: float = 0.02) -> NDArray[np.float32]:
    """(T, V, 3): the lower part drops and comes back once; it is lowest in the middle frame."""
    rest = template(subject)
    drop = strength * np.sin(np.linspace(0, np.pi, frames)) * (0.6 + 0.4 * np.cos(np.linspace(-1, 1, frames)))
    moved = np.repeat(rest[None], frames, axis=0)
    moved[:, :, 1] -= drop[:, None] * (rest[:, 1] < -0.03)
    return moved.astype(np.float32)


def longer(moved: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T + 1, 3 V): the last frame once more."""
    return np.concatenate([moved, moved[-1:]]).reshape(len(moved) + 1, -1)


def chirp(seconds: float, rate: int = RATE) -> NDArray[np.float64]:
    """A sound that is like itself at no other time, so that a shift shows."""
    time = np.arange(round(seconds * rate)) / rate
    return 0.4 * np.sin(2 * np.pi * (200 * time + 900 * time**2)) * np.minimum(1, 40 * time)


def make_data(folder: Path, *, fps: float = 25.0, frames: int = 12, units: str = "m", sound: bool = True) -> Path:
    for name in ("vertices_npy", "wav"):
        (folder / name).mkdir(parents=True)
    entries = {}
    for subject in SUBJECTS:
        for sentence in SENTENCES:
            name = sequences.sequence_id(subject, sentence)
            wave = chirp(frames / fps)
            np.save(folder / "vertices_npy" / f"{name}.npy", motion(subject, frames).reshape(frames, -1))
            if sound:
                soundfile.write(folder / "wav" / f"{name}.wav", wave, RATE, subtype="PCM_16")
            split = "train" if subject == "A" else "test"
            entries[name] = sequences.Entry(subject, sentence, split, frames, len(wave), RATE)
    np.savez(folder / "templates.npz", allow_pickle=False, **{subject: template(subject) for subject in SUBJECTS})
    write_ply(folder / "topology.ply", template("A"), MESH.faces)
    sequences.write_region(folder, "lip_upper", np.flatnonzero(MESH.vertices[:, 1] > 0.03))
    sequences.write_region(folder, "lip_lower", np.flatnonzero(MESH.vertices[:, 1] < -0.03))
    splits = {"train": ("A",), "test": ("B", "C")}
    sequences.write_index(folder, sequences.Info("eggs", fps, units, "y", VERTICES, splits, entries))
    return folder


def make_predictions(folder: Path, *, fps: float = 25.0, frames: int = 12, units: str = "m") -> Path:
    """Of every subject and sentence, in two manners; with half as much motion as the truth, and a frame more."""
    (folder / "npy").mkdir(parents=True)
    items = {}
    for subject in SUBJECTS:
        for sentence in SENTENCES:
            for condition in CONDITIONS:
                made = sequences.sequence_id(subject, sentence)
                name = predictions.prediction_name(made, condition)
                np.save(folder / "npy" / f"{name}.npy", longer(motion(subject, frames, strength=0.01)))
                split = "train" if subject == "A" else "test"
                items[name] = predictions.Item(made, subject, condition, split, frames + 1)
    predictions.write_index(folder, predictions.Info(fps, units, "eggs", MODEL, items))
    return folder
