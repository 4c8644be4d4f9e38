"""Small training runs for the tests of the train stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.stage import Input
from stages.features import ExtractFeatures
from stages.features import Params as FeatureParams
from stages.kinds.checkpoint import Checkpoint
from stages.kinds.features import Features
from stages.kinds.sequences import Sequences
from stages.train import Params, Train
from stages.train.clips import ClipReader
from tests.stages import fake_face
from tests.stages.fake_job import FakeJob
from tests.stages.tiny import make_sequences

FILES = ("model.safetensors", "last.safetensors", "config.json", "training.json", "history.jsonl", "curves.png")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Input]:
    root = tmp_path_factory.mktemp("inputs")
    data = make_sequences(root / "sequences")
    job = FakeJob.under(root, {"data": data})
    ExtractFeatures(FeatureParams(encoder="log-mel")).run(job)
    return {
        "data": Input(data, "sequences", "tiny", {}),
        "features": Input(job.out, "features", "tiny-log-mel", {"encoder": "log-mel"}),
    }


def new_job(folder: Path, inputs: dict[str, Input], **options: Any) -> FakeJob:
    return FakeJob.under(folder, inputs, **options)


def run(job: FakeJob, settings: fake_face.Settings | None = None, **params: Any) -> Checkpoint:
    given: dict[str, Any] = {"model": fake_face.NAME, "epochs": 3, "lr": 1e-2} | params
    Train(Params(**given), {"model": settings or fake_face.Settings()}).run(job)
    return Checkpoint(job.out)


def clips(inputs: dict[str, Input]) -> ClipReader:
    return ClipReader(Sequences(inputs["data"].path), Features(inputs["features"].path))
