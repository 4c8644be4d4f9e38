"""Small training runs for the tests of the train stage."""

from __future__ import annotations

import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.settings import Wants
from pipeline.stage import Input
from stages.features import ExtractFeatures
from stages.features import Params as FeatureParams
from stages.kinds.checkpoint import Checkpoint
from stages.kinds.features import Encoder, Features, write_features
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


LETTERS = ("<pad>", "<unk>", "|", "a", "b", "c")
HIDDEN = 12


def hear(inputs: dict[str, Input]) -> Path:
    """The features of `inputs` with what a recogniser made of them: hidden states and logits that are drawn, so that
    letters last some steps, with blanks between."""
    given = Features(inputs["features"].path)
    folder = inputs["features"].path.parent / "heard"
    if folder.is_dir():
        return folder
    folder.mkdir()

    def draw(name: str, channels: int) -> NDArray[np.float32]:
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        slow = rng.standard_normal((given.length(name) // 3 + 1, channels), np.float32)
        return slow.repeat(3, axis=0)[: given.length(name)]

    encoder = Encoder(**{**asdict(given.encoder), "vocabulary": LETTERS, "text_weights": "drawn"})
    more = {"hidden": lambda name: draw(name, HIDDEN), "logits": lambda name: draw(name, len(LETTERS))}
    write_features(folder, given.ids(), encoder, lambda name: given[name], **more)
    return folder


def with_text(inputs: dict[str, Input], wants: Wants) -> ClipReader:
    """As `clips`, of features that hold what was heard."""
    return ClipReader(Sequences(inputs["data"].path), Features(hear(inputs)), wants=wants)
