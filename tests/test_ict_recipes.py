"""The recipes on open data, in their tiny form on tiny clones, from raw files to video and metrics."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stages.kinds.checkpoint import Checkpoint
from stages.kinds.sequences import Sequences
from tests.recipe_runs import ctc, here, run_tiny, store
from tests.stages.preprocess.ict_files import ict_data

__all__ = ["ctc", "here", "store"]


@pytest.fixture
def clones(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = here / "clones"
    if not root.exists():
        ict_data().write(root)
    monkeypatch.setenv("FACEGOOD_ROOT", str(root / "facegood"))
    monkeypatch.setenv("ICT_ROOT", str(root / "ict"))
    return root


@pytest.mark.parametrize(
    ("recipe", "styles"),
    [("faceformer_ict", 4), ("codetalker_ict", 4), ("talkingstyle_ict", 4), ("selftalk_ict", 1)],
)
def test_from_clones_to_video_and_metrics(here: Path, clones: Path, recipe: str, styles: int) -> None:
    assert run_tiny(f"{recipe}.toml") == 0
    out = here / "outputs" / recipe
    data = Sequences(out / "preprocess")
    assert sorted({data.entry(name).subject for name in data.ids("test")}) == ["ICT06"]
    predictions = [path.stem for path in (out / "infer/npy").iterdir()]
    assert len(predictions) == styles * len(data.ids("test"))  # an unseen subject speaks in every style that there is
    numbers = json.loads((out / "metrics/metrics.json").read_text())["numbers"]
    assert {number["row"] for number in numbers} == {"model", "neutral template", "mean motion"}
    assert {"lve", "fdd", "opening_correlation"} <= {number["metric"].split("/")[0] for number in numbers}
    assert list(out.glob("render/*.mp4"))


def test_a_recogniser_from_elsewhere_teaches_the_lips(here: Path, clones: Path, ctc: Path) -> None:
    """As the recipe's comment says."""
    text = ["step.features.text=true", f"step.features.recogniser={ctc}", "step.render.texts=true"]
    weights = ["step.train.latent_weight=1", "step.train.text_weight=0.1"]
    assert run_tiny("selftalk_ict.toml", *text, *weights) == 0
    out = here / "outputs/selftalk_ict"
    lips = Checkpoint(out / "train").facts.regions["lips"]
    assert lips == Sequences(out / "preprocess").region("lips").tolist()
    assert list((out / "infer/text").glob("*.json"))


def test_a_clone_that_is_not_there_is_named(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FACEGOOD_ROOT", "nowhere")
    monkeypatch.setenv("ICT_ROOT", "nowhere")
    assert run_tiny("faceformer_ict.toml") in (1, 2)
    assert "nowhere" in capsys.readouterr().err
