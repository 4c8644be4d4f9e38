"""CodeTalker's recipes in their tiny form: two trainings, what a change runs again, and released weights of both."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from models.positions import periodic_encoding
from pipeline.recipe import load
from tests.recipe_runs import ROOT, as_released, encoder, here, official, run_tiny, store, vocaset

__all__ = ["encoder", "here", "official", "store", "vocaset"]

VOCASET = "codetalker_vocaset.toml"
SYNTHETIC = "codetalker_synthetic.toml"


def ran(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.split()[0] for line in capsys.readouterr().out.splitlines() if " running " in line]


@pytest.mark.parametrize("recipe", [SYNTHETIC, "codetalker_synthetic_biwi.toml"])
def test_from_nothing_to_video_and_metrics(here: Path, recipe: str) -> None:
    assert run_tiny(recipe) == 0
    out = here / "outputs" / recipe.removesuffix(".toml")
    assert list((out / "render").glob("*.mp4"))
    for step in ("metrics", "prior_metrics"):
        numbers = json.loads((out / step / "metrics.json").read_text())["numbers"]
        assert {number["row"] for number in numbers} == {"model", "neutral template", "mean motion"}
    history = [json.loads(line) for line in (out / "prior/history.jsonl").read_text().splitlines()]
    assert all(0 < record["train"]["codebook_usage"] <= 1 for record in history)
    codes = json.loads((out / "targets/codes.json").read_text())
    sequences = json.loads((out / "preprocess/sequences.json").read_text())["sequences"]
    assert set(codes["frames"]) == {name for name, entry in sequences.items() if entry["split"]}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("step.train.lr=2e-4", ["train", "infer", "metrics", "render"]),
        ("step.train.layers=2", ["train", "infer", "metrics", "render"]),
        ("step.infer.context=4", ["infer", "metrics", "render"]),
        ("step.reconstruct.splits=val", ["reconstruct", "prior_metrics"]),
    ],
)
def test_a_setting_of_stage_two_leaves_the_prior_alone(
    here: Path, capsys: pytest.CaptureFixture[str], setting: str, expected: list[str]
) -> None:
    assert run_tiny(SYNTHETIC) == 0
    capsys.readouterr()
    assert run_tiny(SYNTHETIC, setting) == 0
    assert sorted(ran(capsys)) == sorted(expected)


def test_a_setting_of_the_prior_trains_both(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_tiny(SYNTHETIC) == 0
    capsys.readouterr()
    assert run_tiny(SYNTHETIC, "step.prior.codes=8") == 0
    assert set(ran(capsys)) == {
        "prior", "targets", "train", "reconstruct", "prior_metrics", "infer", "metrics", "render",
    }  # fmt: skip


def test_released_settings_are_the_papers() -> None:
    """The sizes of the released configurations, as they reach the steps."""
    for name, tokens, layers, split in (("vocaset", 16, 6, "test"), ("biwi", 8, 12, "test-a")):
        steps = load(ROOT / "recipes" / f"codetalker_{name}.toml", as_published=True).steps
        prior, train = steps["prior"].values, steps["train"].values
        assert (prior["tokens"], prior["tokens"] * prior["token_width"], prior["codes"]) == (tokens, 1024, 256)
        assert (prior["optimiser"], prior["lr"], prior["weight_decay"], prior["epochs"]) == ("adamw", 1e-4, 0.01, 200)
        assert prior["lr_step"] == (20 if name == "vocaset" else 0)
        assert (train["layerdrop"], train["mask_time_prob"], train["mask_time_length"]) == (0.1, 0.05, 10)
        assert (train["layers"], train["feature_dim"], train["feedforward"]) == (layers, 1024, 2048)
        assert (train["optimiser"], train["lr"], train["epochs"]) == ("adam", 1e-4, 100)
        assert (prior["batch_size"], train["batch_size"]) == (1, 1)
        assert steps["infer"].values["splits"] == [split]
        for step in ("targets", "reconstruct", "infer"):
            assert steps[step].values["weights"] == "last"
        assert train["prior_weights"] == "last"


def test_vocaset_and_released_weights_of_both_stages(
    here: Path, official: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Files as the released code saves them: .pth.tar, "state_dict", the tables of positions, no autoencoder."""
    assert run_tiny(VOCASET, *official) == 0
    out = here / "outputs/codetalker_vocaset"
    made = sorted((out / "infer/npy").iterdir())
    assert len(made) == 8  # an unseen subject speaks in the style of all eight training subjects
    first = np.load(made[0])
    state = as_released(load_file(out / "prior/last.safetensors"))
    write_released(here / "stage1.pth.tar", state | prior_tables(32))
    spoken = as_released(load_file(out / "train/last.safetensors"))
    assert not [name for name in spoken if "autoencoder" in name]
    write_released(here / "stage2.pth.tar", spoken | {"PPE.pe": periodic_encoding(630, 32, 30)[None]})
    words = [*official, "step.prior.epochs=0", "step.prior.weights=stage1.pth.tar", "step.train.epochs=0"]
    assert run_tiny(VOCASET, *words, "step.train.weights=stage2.pth.tar") == 0
    np.testing.assert_allclose(np.load(out / "infer/npy" / made[0].name), first, atol=1e-6)
    capsys.readouterr()
    assert run_tiny(VOCASET, *words, "step.train.weights=stage1.pth.tar") == 1
    assert "is CodeTalker's first stage, a motion prior" in capsys.readouterr().err


def prior_tables(dim: int) -> dict[str, Tensor]:
    table = periodic_encoding(5000, dim, 5000)[:, None]
    return {f"{part}.{part}_pos_embedding.pe": table for part in ("encoder", "decoder")}


def write_released(file: Path, state: dict[str, Tensor]) -> None:
    torch.save({"state_dict": state}, file)
