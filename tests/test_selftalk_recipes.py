"""SelfTalk's recipes in their tiny form: from raw data and a recogniser's folder to videos. What they lack is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pipeline.recipe import load
from stages.kinds.checkpoint import Checkpoint
from stages.kinds.features import Features
from stages.kinds.predictions import Predictions
from stages.kinds.sequences import Sequences
from tests.recipe_runs import ROOT, as_released, biwi, ctc, encoder, here, run_tiny, store, vocaset

__all__ = ["biwi", "ctc", "encoder", "here", "store", "vocaset"]

VOCASET, BIWI = "selftalk_vocaset.toml", "selftalk_biwi.toml"


@pytest.fixture
def heard(here: Path, vocaset: Path, biwi: Path, ctc: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("VOCASET_ROOT", str(vocaset))
    monkeypatch.setenv("BIWI_ROOT", str(biwi))
    return [f"step.features.encoder={ctc}", "step.metrics.figures=false"]


@pytest.mark.parametrize(("name", "size"), [("vocaset", (512, "interpolate")), ("biwi", (1024, "pairs"))])
def test_as_published(name: str, size: tuple[int, str]) -> None:
    steps = load(ROOT / f"recipes/selftalk_{name}.toml", as_published=True).steps
    values = steps["train"].values
    assert (values["feature_dim"], values["alignment"]) == size
    assert (values["layers"], values["heads"], values["feedforward"]) == (1, 4, 0)
    reader = [values[f"interpreter_{part}"] for part in ("layers", "heads", "feedforward")]
    assert reader == [6, 8, 2048]
    weights = [values[f"{part}_weight"] for part in ("position", "velocity", "latent", "text")]
    assert weights == [1000.0, 1000.0, 0.001, 0.0001]
    assert (values["epochs"], values["accumulation"], values["accumulate"]) == (101, "released", 1)
    assert (values["layerdrop"], values["mask_time_prob"], values["mask_time_length"]) == (0.05, 0.05, 10)
    assert (values["optimiser"], values["schedule"], values["motion_scale"]) == ("adam", "constant", 1.0)
    assert steps["features"].values["text"] is True
    assert (steps["render"].values["size"], steps["render"].values["background"]) == (800, "black")


def test_synthetic_from_nothing_to_text_off_the_lips(here: Path) -> None:
    """The recogniser too is trained on the way."""
    assert run_tiny("selftalk_synthetic.toml") == 0
    out = here / "outputs/selftalk_synthetic"
    vocabulary = Checkpoint(out / "recogniser").facts.vocabulary
    assert Features(out / "features").encoder.vocabulary == vocabulary == Checkpoint(out / "train").facts.vocabulary
    data, made = Sequences(out / "preprocess"), Predictions(out / "infer")
    assert [item.id for item in made.items.values()] == data.ids("test")
    texts = [made.text(name) for name in made.items]  # of a recogniser that learnt for an epoch; they may be empty
    assert all(text and text.heard is not None and text.lip_read is not None for text in texts)
    record = json.loads((out / "train/history.jsonl").read_text().splitlines()[-1])
    assert {"position", "velocity", "latent", "text"} <= record["train"].keys()
    numbers = json.loads((out / "metrics/metrics.json").read_text())["numbers"]
    assert "lip_readability/selftalk" in {number["metric"] for number in numbers}
    assert list((out / "render").glob("*.mp4"))


def test_vocaset_from_raw_data_to_video_and_metrics(here: Path, heard: list[str]) -> None:
    assert run_tiny(VOCASET, *heard) == 0
    out = here / "outputs/selftalk_vocaset"
    (made,) = (out / "infer/npy").iterdir()  # one motion a sentence, also of a subject who was not trained on
    assert made.name == "FaceTalk_170809_00138_TA_sentence21_condition_mean.npy"
    assert np.load(made).shape[1] == 15069
    assert list((out / "render").glob("*.mp4"))
    (record,) = [json.loads(line) for line in (out / "train/history.jsonl").read_text().splitlines()]
    assert {"loss", "position", "velocity", "latent", "text"} <= record["train"].keys()
    rows = {number["row"] for number in json.loads((out / "metrics/metrics.json").read_text())["numbers"]}
    assert "model" in rows


def test_released_weights_are_evaluated_without_training(here: Path, heard: list[str]) -> None:
    """A file as the released code saves it: its frozen recogniser, plain names, weight_g and weight_v."""
    assert run_tiny(VOCASET, *heard) == 0
    out = here / "outputs/selftalk_vocaset"
    first = np.load(next((out / "infer/npy").iterdir()))
    state = as_released(load_file(out / "train/last.safetensors"))
    torch.save(state | {"text_encoder.lm_head.bias": torch.zeros(33)}, here / "vocaset.pth")
    assert run_tiny(VOCASET, *heard, "step.train.epochs=0", "step.train.weights=vocaset.pth") == 0
    np.testing.assert_allclose(np.load(next((out / "infer/npy").iterdir())), first, atol=1e-7)


def test_biwi_as_published_beside_its_faster_form(here: Path, heard: list[str]) -> None:
    words = [*heard, "step.train.epochs=2"]
    assert run_tiny(BIWI, *words) == 0
    assert run_tiny(BIWI, *words, options=["--as-published"]) == 0
    faster, published = (here / "outputs" / f"selftalk_biwi{end}" for end in ("", "-as_published"))
    assert (faster / "features").resolve() == (published / "features").resolve()
    made = sorted(path.name for path in (published / "infer/npy").iterdir())
    assert made == ["F2_e37_condition_mean.npy", "M3_e37_condition_mean.npy"]
    assert list((published / "render").glob("*.mp4"))
    ends = [json.loads((out / "train/history.jsonl").read_text().splitlines()[-1]) for out in (faster, published)]
    assert [end["step"] for end in ends] == [2, 4]  # of two clips each epoch, together and one after the other


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["step.train.lips=mouth"], "has no region mouth"),
        (["step.features.text=false"], "set text = true in the features step"),
    ],
)
def test_what_is_missing_is_said(
    heard: list[str], capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert run_tiny(VOCASET, *heard, *words) == 1
    assert sentence in capsys.readouterr().err


def test_an_encoder_that_writes_nothing_is_refused(
    heard: list[str], encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_tiny(VOCASET, f"step.features.encoder={encoder}") == 1
    assert str(encoder) in capsys.readouterr().err
