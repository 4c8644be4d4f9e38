"""A tiny artifact of the kind `sequences`, made in milliseconds: a mouth of few vertices that follows its sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from faces.ply import write_ply
from stages.kinds.sequences import TOPOLOGY, Entry, Info, sequence_id, write_index, write_region

VERTICES = 12
RATE = 16_000
REGIONS = {"lips": range(6), "lip_upper": range(3), "lip_lower": range(3, 6), "upper_face": range(8, 12)}
SPLITS = {"train": ("A", "B"), "val": ("B", "C"), "test": ("B", "D")}


def sound(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Noise whose loudness swells and fades."""
    time = np.arange(round(seconds * RATE)) / RATE
    loudness = 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(1.5, 3.0) * time + rng.uniform(0, 6))
    return 0.3 * loudness * rng.standard_normal(len(time))


def motion(wave: np.ndarray, frames: int, strength: float, template: np.ndarray) -> np.ndarray:
    """(T, V, 3): the lower lip drops with the sound's loudness, the forehead rises a little."""
    loud = np.sqrt([np.square(part).mean() for part in np.array_split(wave, frames)])
    moved = np.repeat(template[None], frames, axis=0)
    moved[:, 3:6, 1] -= strength * loud[:, None]
    moved[:, 8:12, 1] += 0.2 * strength * loud[:, None]
    return moved.astype(np.float32)


def make_sequences(
    folder: Path, *, fps: float = 30.0, units: str = "m", sentences: int = 3, regions: bool = True, seed: int = 0
) -> Path:
    """Subjects A and B are trained on; C and D are new. Sentences of subject B are split, so B is in all splits."""
    rng = np.random.default_rng(seed)
    for name in ("vertices_npy", "wav"):
        (folder / name).mkdir(parents=True)
    templates, entries = {}, {}
    for index, subject in enumerate("ABCD"):
        templates[subject] = rng.normal(scale=0.05, size=(VERTICES, 3)).astype(np.float32)
        for number in range(1, sentences + 1):
            name = sequence_id(subject, f"s{number:02d}")
            seconds = 0.5 + 0.1 * rng.integers(0, 4)
            wave = sound(seconds, rng)
            frames = motion(wave, round(seconds * fps), 0.04 * (1 + index % 2), templates[subject])
            np.save(folder / "vertices_npy" / f"{name}.npy", frames.reshape(len(frames), -1))
            soundfile.write(folder / "wav" / f"{name}.wav", wave, RATE, subtype="PCM_16")
            split = {"A": "train", "B": ("train", "val", "test")[(number - 1) % 3], "C": "val", "D": "test"}[subject]
            entries[name] = Entry(subject, f"s{number:02d}", split, len(frames), len(wave), RATE)
    strip = np.array([[i, i + 1, i + 2] for i in range(VERTICES - 2)])
    write_ply(folder / TOPOLOGY, templates["A"], strip)
    np.savez(folder / "templates.npz", allow_pickle=False, **templates)
    for name, indices in REGIONS.items() if regions else ():
        write_region(folder, name, indices)
    write_index(folder, Info("tiny", fps, units, "y", VERTICES, SPLITS, entries))
    return folder
