"""A network's description, data and sound for the tests of `voice`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from pipeline.stage import Input
from stages.kinds.checkpoint import Config, write_config
from tests.stages.tiny import VERTICES


def describe(
    folder: Path, *, vertices: int = VERTICES, fps: float = 30.0, units: str = "m", encoder: str = "log-mel"
) -> Path:
    """The folder of a checkpoint of which only config.json is there: trained on A and B."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"vertices": vertices, "fps": fps, "train_subjects": ["A", "B"], "channels": 80, "encoder": encoder}
    write_config(folder, Config("faceformer", {}, {**facts, "encoder_config": {}}, "tiny", units))
    return folder


def tone(seconds: float = 0.5, rate: int = 16_000, channels: int = 1) -> np.ndarray:
    """(N, channels) float64: 220 Hz, fading in."""
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.4 * np.sin(2 * np.pi * 220 * time) * np.minimum(1, 4 * time)
    return np.repeat(wave[:, None], channels, axis=1)


def write_tone(file: Path, *, seconds: float = 0.5, rate: int = 16_000, channels: int = 1, **how: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, tone(seconds, rate, channels), rate, **how)
    return file


def given(checkpoint: Path, data: Path | None = None) -> dict[str, Input]:
    kinds = {"checkpoint": checkpoint, "data": data}
    return {slot: Input(path, slot, slot, {}) for slot, path in kinds.items() if path is not None}
