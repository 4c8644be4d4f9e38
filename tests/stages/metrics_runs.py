"""Runs of the stage `metrics` on a tiny data set, and predictions for it that are as far off as one likes."""

from __future__ import annotations

import csv
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faces.errors import DataError
from pipeline.errors import StageError
from stages.kinds.predictions import Info, Item, prediction_name, write_index
from stages.kinds.sequences import Sequences
from stages.kinds.tracks import read_tracks
from stages.metrics import Metrics, Params
from tests.stages.fake_job import FakeJob


def make_predictions(folder: Path, data: Sequences, *, half: float = 0.5, longer: int = 2, **facts: Any) -> Path:
    """Predictions that move by a share of the truth, other for each condition, and are a bit longer or shorter."""
    (folder / "npy").mkdir(parents=True)
    items = {}
    for name in data.ids("test"):
        entry = data.entry(name)
        own = [entry.subject] if entry.subject in data.train_subjects else []
        for number, condition in enumerate(own or data.train_subjects):
            truth, template = data.vertices(name), data.templates[entry.subject]
            motion = template + (half + 0.1 * number) * (truth - template)
            changed = np.concatenate([motion, motion[-longer:]]) if longer > 0 else motion[: longer or None]
            made = prediction_name(name, condition)
            np.save(folder / "npy" / f"{made}.npy", changed.reshape(len(changed), -1))
            items[made] = Item(name, entry.subject, condition, "test", len(changed))
    known: dict[str, Any] = {"fps": data.fps, "units": data.units, "dataset": "tiny", "model": "halfway"} | facts
    write_index(folder, Info(items=items, **known))
    return folder


def make_samples(folder: Path, data: Sequences, *, count: int = 3, track: str = "", **facts: Any) -> Path:
    """Predictions of a network that draws: samples of each sentence, numbered from 7 on, around the truth."""
    (folder / "npy").mkdir(parents=True)
    rows, items = read_tracks(data.path), {}
    for name in data.ids("test"):
        truth = rows[track][name] if track else data.vertices(name).reshape(data.entry(name).frames, -1)
        for seed in range(7, 7 + count):
            rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
            made = prediction_name(name, "mean", seed)
            np.save(folder / "npy" / f"{made}.npy", truth + 0.01 * rng.standard_normal(truth.shape, np.float32))
            items[made] = Item(name, data.entry(name).subject, "mean", "test", len(truth), seed)
    known: dict[str, Any] = {"fps": data.fps, "units": data.units, "dataset": "tiny", "model": "drawn", "styles": False}
    write_index(folder, Info(items=items, track=track, **(known | facts)))
    return folder


def change_item(predictions: Path, name: str, **facts: Any) -> None:
    """Edit one item of predictions.json."""
    file = predictions / "predictions.json"
    index = json.loads(file.read_text())
    index["items"][name] |= facts
    file.write_text(json.dumps(index))


def run(folder: Path, data: Path, predictions: Path, against: Path | None = None, **params: Any) -> FakeJob:
    inputs = {"data": data, "predictions": predictions} | ({"against": against} if against else {})
    job = FakeJob.under(folder, inputs, workers=params.pop("workers", 1))
    Metrics(Params(**{"figures": False} | params)).run(job)
    return job


def run_slots(folder: Path, made: dict[str, Path], *slots: str, **params: Any) -> FakeJob:
    """With data, predictions and what is made for other slots."""
    inputs = {slot: made[slot] for slot in ("data", "predictions", *slots)}
    job = FakeJob.under(folder, inputs, workers=params.pop("workers", 1))
    Metrics(Params(**{"figures": False} | params)).run(job)
    return job


def refused(folder: Path, made: dict[str, Path], *slots: str, **params: Any) -> str:
    """The one sentence with which `run_slots` ends."""
    with pytest.raises((DataError, StageError)) as caught:
        run_slots(folder, made, *slots, **params)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def report(job: FakeJob) -> dict[str, Any]:
    return json.loads((job.out / "metrics.json").read_text())


def numbers(job: FakeJob) -> dict[tuple[str, str], dict[str, Any]]:
    return {(record["row"], record["metric"]): record for record in report(job)["numbers"]}


def csv_rows(job: FakeJob) -> list[dict[str, str]]:
    with (job.out / "per_sequence.csv").open() as stream:
        return list(csv.DictReader(stream))
