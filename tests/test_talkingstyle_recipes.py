"""TalkingStyle's recipes in their tiny form, and the list of the mouth that its release is trained with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.positions import periodic_encoding
from pipeline.recipe import load
from tests.recipe_runs import ROOT, as_released, biwi, here, hubert, mead, run_tiny, store, vocaset

__all__ = ["biwi", "here", "hubert", "mead", "store", "vocaset"]

VOCASET, BIWI, MEAD = (f"talkingstyle_{name}.toml" for name in ("vocaset", "biwi", "mead"))
SYNTHETIC = "talkingstyle_synthetic.toml"
AS_PUBLISHED = ["--as-published"]
NO_FIGURES = "step.metrics.figures=false"


@pytest.fixture
def heard(
    here: Path, vocaset: Path, biwi: Path, mead: Path, hubert: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    for name, folder in (("VOCASET", vocaset), ("BIWI", biwi), ("MEAD", mead)):
        monkeypatch.setenv(f"{name}_ROOT", str(folder))
    return [f"step.features.encoder={hubert}", NO_FIGURES]


@pytest.mark.parametrize(
    ("name", "size", "rate", "mouth"),
    [
        ("vocaset", (64, 30, "interpolate"), 1e-4, "lip"),
        ("biwi", (128, 25, "pairs"), 2e-4, "lips"),
        ("mead", (128, 25, "pairs"), 2e-4, "lip"),
    ],
)
def test_as_published(name: str, size: tuple[int, int, str], rate: float, mouth: str) -> None:
    steps = load(ROOT / f"recipes/talkingstyle_{name}.toml", as_published=True).steps
    values = steps["train"].values
    assert (values["feature_dim"], values["period"], values["alignment"]) == size
    assert (values["layers"], values["heads"], values["feedforward"]) == (6, 4, 0)
    assert (values["mouth_weight"], values["mouth"], values["mouth_entries"]) == (0.6, mouth, "coordinates")
    assert (values["epochs"], values["lr"], values["order"]) == (101, rate, "listed")
    assert (values["layerdrop"], values["mask_time_prob"], values["mask_time_length"]) == (0.1, 0.05, 10)
    assert (values["optimiser"], values["schedule"], values["teacher_forcing"]) == ("adam", "constant", False)
    assert (steps["render"].values["size"], steps["render"].values["background"]) == (1600, "white")


@pytest.mark.parametrize("name", ["vocaset", "biwi", "mead"])
def test_left_to_itself_the_mouth_is_the_lips(name: str) -> None:
    values = load(ROOT / f"recipes/talkingstyle_{name}.toml").steps["train"].values
    assert (values["mouth"], values["mouth_entries"]) == ("lips", "vertices")


def test_vocaset_from_raw_data_to_video_and_metrics(here: Path, heard: list[str]) -> None:
    assert run_tiny(VOCASET, *heard) == 0
    out = here / "outputs/talkingstyle_vocaset"
    made = sorted(path.name for path in (out / "infer/npy").iterdir())
    assert len(made) == 8  # an unseen subject speaks in the style of all eight training subjects
    assert made[0].startswith("FaceTalk_170809_00138_TA_sentence21_condition_FaceTalk_170725_00137_TA")
    assert list((out / "render").glob("*.mp4"))
    rows = {number["row"] for number in json.loads((out / "metrics/metrics.json").read_text())["numbers"]}
    assert "model" in rows


def test_synthetic_from_nothing_to_video_and_metrics(here: Path) -> None:
    assert run_tiny(SYNTHETIC, NO_FIGURES) == 0
    out = here / "outputs/talkingstyle_synthetic"
    styles = {path.stem.partition("_condition_")[2] for path in (out / "infer/npy").iterdir()}
    assert styles == {"Synthetic_01", "Synthetic_02"}  # an unseen talker speaks in every style
    assert list((out / "render").glob("*.mp4"))
    numbers = json.loads((out / "metrics/metrics.json").read_text())["numbers"]
    assert {number["row"] for number in numbers} == {"model", "neutral template", "mean motion"}
    assert "diversity/facediffuser" in {number["metric"] for number in numbers}
    (record,) = [json.loads(line) for line in (out / "train/history.jsonl").read_text().splitlines()]
    losses = record["train"]
    assert losses["loss"] == pytest.approx(0.4 * losses["motion"] + 0.6 * losses["mouth"], rel=1e-4)


def test_released_weights_are_evaluated_without_training(here: Path, heard: list[str]) -> None:
    """A file as the released code saves it: plain names, weight_g and weight_v, the table of positions."""
    assert run_tiny(VOCASET, *heard) == 0
    out = here / "outputs/talkingstyle_vocaset"
    made = sorted((out / "infer/npy").iterdir())[0].name
    first = np.load(out / "infer/npy" / made)
    state = as_released(load_file(out / "train/model.safetensors"))
    torch.save(state | {"PPE.pe": periodic_encoding(630, 16, 30)[None]}, here / "vocaset.pth")
    assert run_tiny(VOCASET, *heard, "step.train.epochs=0", "step.train.weights=vocaset.pth") == 0
    np.testing.assert_allclose(np.load(out / "infer/npy" / made), first, atol=1e-7)


def test_vocaset_as_published_wants_the_published_list(
    here: Path, heard: list[str], vocaset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_tiny(VOCASET, *heard, options=AS_PUBLISHED) == 1
    assert "has no region lip, which the network learns with" in capsys.readouterr().err
    (vocaset / "regions/lip.txt").write_text("100, 101, 102, 101, 102, 103")
    assert run_tiny(VOCASET, *heard, options=AS_PUBLISHED) == 0
    assert list((here / "outputs/talkingstyle_vocaset-as_published/render").glob("*.mp4"))


def test_vocaset_as_published_wants_a_folder_of_lists(heard: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    words = [*heard, "step.preprocess.regions=nowhere"]
    assert run_tiny(VOCASET, *words, options=AS_PUBLISHED) in (1, 2)
    assert "nowhere" in capsys.readouterr().err


def test_the_released_loop_with_the_mouth_that_is_meant(here: Path, heard: list[str]) -> None:
    words = ["step.train.mouth=lips", "step.train.mouth_entries=vertices", "step.preprocess.regions="]
    assert run_tiny(VOCASET, *heard, *words, options=[*AS_PUBLISHED, "--until", "train"]) == 0


def test_biwi_as_published_beside_its_faster_form(here: Path, heard: list[str]) -> None:
    words = [*heard, "step.train.epochs=2"]
    assert run_tiny(BIWI, *words) == 0
    assert run_tiny(BIWI, *words, options=AS_PUBLISHED) == 0
    faster, published = (here / "outputs" / f"talkingstyle_biwi{end}" for end in ("", "-as_published"))
    assert (faster / "features").resolve() == (published / "features").resolve()
    made = sorted(path.name for path in (published / "infer/npy").iterdir())
    assert made == ["F2_e37_condition_F2.npy", "M3_e37_condition_M3.npy"]
    ends = [json.loads((out / "train/history.jsonl").read_text().splitlines()[-1]) for out in (faster, published)]
    assert [end["step"] for end in ends] == [2, 4]  # of two clips each epoch, together and one after the other


@pytest.mark.parametrize("options", [[], AS_PUBLISHED], ids=["ours", "as published"])
def test_mead(here: Path, heard: list[str], options: list[str]) -> None:
    assert run_tiny(MEAD, *heard, options=options) == 0
    out = here / "outputs" / ("talkingstyle_mead-as_published" if options else "talkingstyle_mead")
    made = sorted(path.name for path in (out / "infer/npy").iterdir())
    assert made == ["M003_028_3_0_condition_M003.npy", "W009_028_6_1_condition_W009.npy"]
    assert list((out / "render").glob("*.mp4"))


def test_mead_at_another_rate_keeps_its_frames(here: Path, heard: list[str]) -> None:
    rate = ["step.preprocess.fps=30", "step.preprocess.recorded=30", "step.train.period=30"]
    rate += ["step.train.alignment=interpolate"]
    assert run_tiny(MEAD, *heard, *rate, options=["--until", "infer"]) == 0
