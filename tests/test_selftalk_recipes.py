"""SelfTalk's recipes in their tiny form: from raw data and a recogniser's folder to videos. What they lack is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.recipe import load
from tests.recipe_runs import ROOT, biwi, ctc, encoder, here, run_tiny, store, vocaset

__all__ = ["biwi", "ctc", "encoder", "here", "store", "vocaset"]

VOCASET, BIWI = "selftalk_vocaset.toml", "selftalk_biwi.toml"


@pytest.fixture
def heard(here: Path, vocaset: Path, biwi: Path, ctc: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("VOCASET_ROOT", str(vocaset))
    monkeypatch.setenv("BIWI_ROOT", str(biwi))
    return [f"step.features.encoder={ctc}"]


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


def test_vocaset_from_raw_data_to_video_and_metrics(here: Path, heard: list[str]) -> None:
    assert run_tiny(VOCASET, *heard) == 0
    out = here / "outputs/selftalk_vocaset"
    made = list((out / "infer/npy").iterdir())
    assert made
    assert {np.load(path).shape[1] for path in made} == {15069}
    assert list((out / "render").glob("*.mp4"))
    (record,) = [json.loads(line) for line in (out / "train/history.jsonl").read_text().splitlines()]
    assert {"loss", "position", "velocity", "latent", "text"} <= record["train"].keys()
    rows = {number["row"] for number in json.loads((out / "metrics/metrics.json").read_text())["numbers"]}
    assert "model" in rows


def test_biwi_as_published_beside_its_faster_form(here: Path, heard: list[str]) -> None:
    words = [*heard, "step.train.epochs=2"]
    assert run_tiny(BIWI, *words) == 0
    assert run_tiny(BIWI, *words, options=["--as-published"]) == 0
    faster, published = (here / "outputs" / f"selftalk_biwi{end}" for end in ("", "-as_published"))
    assert (faster / "features").resolve() == (published / "features").resolve()
    assert len(list((published / "infer/npy").iterdir())) == 2  # a sentence of each subject, once
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
