"""Tiny artifacts for lip readers: round heads whose lips open with what they say, transcripts, predictions, readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from faces.ply import write_ply
from models.lipreader import Settings
from pipeline.stage import Input
from stages.kinds import predictions, sequences
from stages.lipread import LipRead
from stages.lipread import Params as ReadParams
from stages.train import Params, Train
from tests.faces.shapes import sphere
from tests.stages.fake_job import FakeJob

MESH = sphere(16)
LIPS = np.flatnonzero((MESH.vertices[:, 2] > 0.06) & (abs(MESH.vertices[:, 1]) < 0.035))
SMALL = Settings(
    modality="video", front_width=2, width=16, layers=1, heads=2, feedforward=16, kernel=5, fusion_width=16,
    decoder_layers=1, rim=2,
)  # fmt: skip
TEXTS = {"s1": "a bee", "s2": "Ebb, abbe"}
SPLITS = {"A_s1": "train", "A_s2": "train", "B_s1": "train", "B_s2": "val", "C_s1": "test", "C_s2": "test"}
RATE = 16_000


def template(subject: str) -> NDArray[np.float32]:
    return (MESH.vertices * np.float32(1 + 0.05 * "ABCDE".index(subject))).astype(np.float32)


def motion(subject: str, sentence: str, frames: int, strength: float = 1.0) -> NDArray[np.float32]:
    """(T, V, 3): the lips go in and out and down, other for each sentence."""
    rest, time = template(subject), np.linspace(0, 1, frames)[:, None]
    wave = strength * np.sin(2 * np.pi * (1 + "12".index(sentence[-1])) * time).astype(np.float32)
    moved = np.repeat(rest[None], frames, axis=0)
    moved[:, LIPS, 2] += 0.02 * wave * np.sign(rest[LIPS, 1])
    moved[:, LIPS, 1] -= 0.005 * wave
    return moved.astype(np.float32)


def make_faces(folder: Path, *, fps: float = 30.0, frames: int = 12, scale: float = 1.0, **changed: Any) -> Path:
    """A and B are trained on, C is new. changed: splits, texts by id (None: none at all), up, lips (False: no region),
    sound (False: none)."""
    splits: dict[str, str] = changed.get("splits", SPLITS)
    for name in ("vertices_npy", "wav"):
        (folder / name).mkdir(parents=True)
    rng, entries, subjects = np.random.default_rng(0), {}, sorted({name[0] for name in splits})
    for number, (name, split) in enumerate(splits.items()):
        subject, sentence = name.split("_")
        length = frames + number % 3
        moved = scale * motion(subject, sentence, length)
        np.save(folder / "vertices_npy" / f"{name}.npy", moved.reshape(length, -1).astype(np.float32))
        wave = 0.3 * rng.standard_normal(round(length / fps * RATE))
        if changed.get("sound", True):
            soundfile.write(folder / "wav" / f"{name}.wav", wave, RATE, subtype="PCM_16")
        entries[name] = sequences.Entry(subject, sentence, split, length, len(wave), RATE)
    templates = {subject: (scale * template(subject)).astype(np.float32) for subject in subjects}
    np.savez(folder / "templates.npz", allow_pickle=False, **templates)
    write_ply(folder / "topology.ply", templates["A"], MESH.faces)
    if changed.get("lips", True):
        sequences.write_region(folder, "lips", LIPS)
    if changed.get("texts", ()) is not None:
        texts = {name: TEXTS[name.split("_")[1]] for name in splits} | changed.get("texts", {})
        sequences.write_transcripts(folder, {name: text for name, text in texts.items() if text is not None})
    found = {split: tuple(s for s in subjects if splits.get(f"{s}_s1") == split) for split in ("train", "val", "test")}
    info = sequences.Info("heads", fps, "m", changed.get("up", "y"), len(MESH.vertices), found, entries)
    sequences.write_index(folder, info)
    return folder


def make_predictions(folder: Path, data: Path, strength: float = 0.5, model: str = "halfway") -> Path:
    """Of the test sentences, in the styles of A and B, the latter a frame longer."""
    (folder / "npy").mkdir(parents=True)
    truth, items = sequences.Sequences(data), {}
    for name in truth.ids("test"):
        entry = truth.entry(name)
        for number, condition in enumerate("AB"):
            frames, made = entry.frames + number, predictions.prediction_name(name, condition)
            moved = motion(entry.subject, entry.sentence, frames, strength + 0.1 * number)
            np.save(folder / "npy" / f"{made}.npy", moved.reshape(frames, -1))
            items[made] = predictions.Item(name, entry.subject, condition, "test", frames)
    predictions.write_index(folder, predictions.Info(truth.fps, truth.units, "heads", model, items))
    return folder


def train_reader(folder: Path, data: Path, settings: Settings = SMALL, *, stop_after: int | None = None, **more: Any):
    """A job of the stage train that has run; see `FakeJob` on stop_after."""
    job = FakeJob.under(folder, {"data": Input(data, "sequences", "heads", {})}, stop_after=stop_after)
    run_reader(job, settings, **more)
    return job


def run_reader(job: FakeJob, settings: Settings = SMALL, **more: Any) -> None:
    given: dict[str, Any] = {"model": "lipreader", "epochs": 2, "batch_size": 2, "lr": 1e-3} | more
    Train(Params(**given), {"model": settings}).run(job)


def read_lips(folder: Path, inputs: dict[str, Path], **params: Any) -> FakeJob:
    """A job of the stage lipread that has run."""
    job = FakeJob.under(folder, inputs)
    LipRead(ReadParams(**{"beam": 2} | params)).run(job)
    return job
