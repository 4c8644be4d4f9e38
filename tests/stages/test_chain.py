"""The real network through the real stages: features, train, infer, metrics, on a tiny data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.faceformer import Settings
from pipeline.errors import Interrupted
from pipeline.stage import Input, Stage
from stages.features import ExtractFeatures
from stages.features import Params as FeatureParams
from stages.infer import Infer
from stages.infer import Params as InferParams
from stages.kinds.checkpoint import Checkpoint
from stages.kinds.predictions import Predictions
from stages.metrics import Metrics
from stages.metrics import Params as MetricsParams
from stages.train import Params as TrainParams
from stages.train import Train
from tests.stages.fake_job import FakeJob
from tests.stages.test_features import tiny_encoder
from tests.stages.tiny import make_sequences

TINY = Settings(feature_dim=16, encoder_layers=1, encoder_width=32, encoder_heads=2)


def run(folder: Path, stage: Stage, inputs: dict[str, Input]) -> FakeJob:
    job = FakeJob.under(folder, inputs)
    stage.run(job)
    return job


def prepared(folder: Path, encoder: str) -> dict[str, Input]:
    data = Input(make_sequences(folder / "sequences"), "sequences", "tiny", {})
    job = run(folder / "f", ExtractFeatures(FeatureParams(encoder=encoder)), {"data": data})
    return {"data": data, "features": Input(job.out, "features", "tiny-features", {"encoder": encoder})}


def trainer(epochs: int = 2, **params: Any) -> Train:
    return Train(TrainParams(model="faceformer", epochs=epochs, **{"lr": 3e-3} | params), {"model": TINY})


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Input]:
    return prepared(tmp_path_factory.mktemp("inputs"), "log-mel")


def test_from_sound_to_numbers(inputs: dict[str, Input], tmp_path: Path) -> None:
    trained = run(tmp_path / "train", trainer(epochs=25, batch_size=2), inputs)
    history = Checkpoint(trained.out).history()
    assert history[-1]["val"]["loss"] < 0.7 * history[0]["val"]["loss"]
    assert set(history[0]["val"]) == {"loss", "teacher_forced"}
    checkpoint = Input(trained.out, "checkpoint", "c", {"model": "faceformer"})
    spoken = run(tmp_path / "infer", Infer(InferParams()), inputs | {"checkpoint": checkpoint})
    made = Predictions(spoken.out)
    assert len(made.items) == 7
    assert np.ptp(made.motion("B_s03_condition_B"), axis=0).max() > 0
    predictions = Input(spoken.out, "predictions", "p", {})
    stage = Metrics(MetricsParams(figures=False))
    report = run(tmp_path / "metrics", stage, {"data": inputs["data"], "predictions": predictions})
    numbers = json.loads((report.out / "metrics.json").read_text())["numbers"]
    lve = {record["row"]: record["value"] for record in numbers if record["metric"] == "lve/facediffuser"}
    assert lve["model"] < lve["neutral template"]


@pytest.mark.parametrize("options", [{}, {"precision": "bf16", "ema": 0.9, "batch_size": 2, "schedule": "cosine"}])
def test_resuming_is_bit_exact(inputs: dict[str, Input], tmp_path: Path, options: dict[str, Any]) -> None:
    """With dropout, layer drop and time masking, in the middle of an epoch."""
    straight = run(tmp_path / "straight", trainer(**options), inputs)
    broken = FakeJob.under(tmp_path / "broken", inputs, stop_after=2)
    with pytest.raises(Interrupted):
        trainer(**options).run(broken)
    broken.stop_after = None
    trainer(**options).run(broken)
    for name in ("model.safetensors", "last.safetensors", "history.jsonl", "config.json"):
        assert (straight.out / name).read_bytes() == (broken.out / name).read_bytes(), name


def test_a_pretrained_encoder_is_fine_tuned(tmp_path: Path) -> None:
    source = tiny_encoder(tmp_path / "encoder", "Wav2Vec2")
    inputs = prepared(tmp_path, str(source))
    untouched = run(tmp_path / "a", trainer(epochs=1, lr=0.0), inputs)
    from safetensors.torch import load_file

    pretrained = load_file(source / "model.safetensors")
    name = "encoder.layers.0.attention.k_proj.weight"
    kept = load_file(untouched.out / "model.safetensors")[f"audio_encoder.{name}"]
    np.testing.assert_array_equal(kept, pretrained[name])
    trained = run(tmp_path / "b", trainer(epochs=1), inputs)
    changed = load_file(trained.out / "model.safetensors")
    assert not np.array_equal(changed[f"audio_encoder.{name}"], pretrained[name])
    frozen = "feature_extractor.conv_layers.0.conv.weight"
    np.testing.assert_array_equal(changed[f"audio_encoder.{frozen}"], pretrained[frozen])
