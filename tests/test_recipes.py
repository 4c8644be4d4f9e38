"""Every recipe that comes with the project is loaded, and run in its tiny form from raw data to video and metrics."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys

import av
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pipeline import forms
from pipeline.forms import Form
from pipeline.recipe import load
from tests.pipeline.test_cli import HEAVY, pipe, process
from tests.recipe_runs import (
    RECIPES,
    ROOT,
    as_released,
    biwi,
    encoder,
    here,
    official,
    run_tiny,
    settings,
    store,
    vocaset,
)

ENDS = ("_vocaset", "_biwi", "_mead")
UNRELEASED = "facetalk"
"""No code of it was published, so that there is no loop to repeat."""
OFFICIAL = [
    path
    for path in RECIPES
    if path.stem.endswith(ENDS) and "synthetic" not in path.stem and not path.stem.startswith(UNRELEASED)
]
LOOP = {"epochs", "batch_size", "lr", "order", "accumulation", "validate_every", "warmup", "frozen_patience"}
LOOK = {"size", "background", "columns", "captions", "texts"}
"""What of a training, and of its pictures, a form may change."""
MOUTH, LISTS = {"mouth", "mouth_entries"}, {"regions"}
QUIRKS = {"expert", "shading_gradient", "timing", "casing", "save_every"}
"""What the released guidance does otherwise; a state of an expert that learns is large."""
RATES = {"talkingstyle_biwi": 2e-4, "talkingstyle_mead": 2e-4}
"""TalkingStyle's release takes the mouth of its loss from other vertices than it means, never shuffles, and tests the
best epoch instead of the last."""

__all__ = ["biwi", "encoder", "here", "official", "store", "vocaset"]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_loads_in_each_form_and_has_a_tiny_one(path) -> None:
    recipe = load(path)
    assert recipe.info["title"]
    assert recipe.info["paper"]
    found = forms.had(path)
    assert Form(tiny=True) in found
    for form in found:
        assert {s.base for s in load(path, **form._asdict()).steps.values()} == {s.base for s in recipe.steps.values()}


@pytest.mark.parametrize("path", OFFICIAL, ids=lambda path: path.stem)
def test_recipes_in_official_sizes_train_in_batches_and_as_published_clip_by_clip(path) -> None:
    """Only how they train differs: what a network is, and what it trains on, does not."""
    ours, published = (load(path, as_published=flag).steps for flag in (False, True))
    trained = [name for name, step in ours.items() if step.stage.name == "train" and step.values["epochs"]]
    assert trained
    styled, guided = path.stem.startswith("talkingstyle"), path.stem.startswith("avguidance")
    loop = LOOP | (MOUTH if styled else QUIRKS if guided else set())
    for name, step in ours.items():
        other = published[name].values
        differ = {key for key, value in step.values.items() if value != other[key]}
        may = {"render": LOOK, "preprocess": LISTS if styled else set()}
        assert differ <= (loop if name in trained else may.get(name, set())), name
    for name in trained:
        values = published[name].values
        order = "listed" if styled else "shuffled"
        assert (values["batch_size"], values["lr"], values["order"]) == (1, RATES.get(path.stem, 1e-4), order)
        assert ours[name].values["batch_size"] > 1
        assert ours[name].values["order"] == "bucketed"
    assert published["infer"].values["weights"] == ("best" if styled else "last")


@pytest.mark.parametrize(("name", "size"), [("vocaset", (64, 30, "interpolate")), ("biwi", (128, 25, "pairs"))])
def test_faceformer_as_published(name, size) -> None:
    values = load(ROOT / f"recipes/faceformer_{name}.toml", as_published=True).steps["train"].values
    assert (values["feature_dim"], values["period"], values["alignment"]) == size
    assert (values["epochs"], values["accumulation"], values["accumulate"]) == (101, "released", 1)
    assert (values["layerdrop"], values["mask_time_prob"], values["mask_time_length"]) == (0.1, 0.05, 10)
    assert (values["optimiser"], values["grad_clip"], values["teacher_forcing"]) == ("adam", 0.0, False)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_status_of_a_real_recipe_imports_nothing_heavy(here, path) -> None:
    code = "import sys; from pipeline.__main__ import planned_only; assert planned_only(sys.argv[1:])\n"
    code += f"print('heavy:', [m for m in {HEAVY} if m in sys.modules])"
    done = process("status", str(path), code=code)
    assert done.stdout.endswith("heavy: []\n"), done.stderr


def test_quickstart_from_nothing_to_video_and_metrics(here, capsys) -> None:
    assert run_tiny("quickstart.toml") == 0
    out = here / "outputs/quickstart"
    (video,) = out.glob("render/*.mp4")
    with av.open(str(video)) as container:
        frames = sum(1 for _ in container.decode(video=0))
        assert container.streams.video[0].average_rate == 30
        assert container.streams.audio[0].codec_context.name == "aac"
    name = video.stem.partition("_condition_")[0]
    assert frames == np.load(out / "infer/npy" / f"{video.stem}.npy").shape[0]
    assert abs(frames - np.load(out / "preprocess/vertices_npy" / f"{name}.npy").shape[0]) <= 2
    rows = {number["row"] for number in json.loads((out / "metrics/metrics.json").read_text())["numbers"]}
    assert rows == {"model", "neutral template", "mean motion"}
    assert list(out.glob("metrics/figures/*.png"))
    assert (out / "train/curves.png").stat().st_size > 1000
    capsys.readouterr()


def test_quickstart_again_runs_nothing_and_a_render_setting_only_render(here, capsys) -> None:
    assert run_tiny("quickstart.toml") == 0
    capsys.readouterr()
    assert run_tiny("quickstart.toml") == 0
    assert "nothing to do, 6 steps are cached" in capsys.readouterr().out
    assert run_tiny("quickstart.toml", "step.render.size=96") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if " running " in line] == ["render"]


def test_a_sweep_shares_the_quickstarts_data_and_is_a_table(here, capsys) -> None:
    assert run_tiny("quickstart.toml") == 0
    capsys.readouterr()
    assert run_tiny("sweep_synthetic.toml") == 0
    ran = [line.split()[0] for line in capsys.readouterr().out.splitlines() if " running " in line]
    assert not {"preprocess", "features"} & set(ran)
    assert ran[0] in ("train@lr=3e-3", "metrics@lr=1e-3")  # the other rate with this seed is the quickstart itself
    assert list((here / "outputs/sweep_synthetic/lr=3e-3,seed=1").glob("render/*.mp4"))
    words = ["--tiny", "--no-published", "--format", "csv", "--metric", "lve/facediffuser"]
    assert pipe("table", str(ROOT / "recipes/sweep_synthetic.toml"), *words) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["origin"] for row in rows] == ["sweep_synthetic, lr=1e-3", "sweep_synthetic, lr=3e-3"]
    assert len({row["value"] for row in rows}) == 2


TRAINING = [sys.executable, "-m", "pipeline", "run", str(ROOT / "recipes/quickstart.toml"), "--tiny", "--device", "cpu"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_training_loses_nothing(here, tmp_path, number) -> None:
    """Ctrl-C, or a cluster that wants its machine back: saved, exit code 75, and in the end the bytes of a run that
    nobody stopped."""
    epochs = 25 + (number == signal.SIGTERM)
    chosen = settings(f"step.train.epochs={epochs}", "step.train.validate_every=25", "step.train.ema=0.9")
    words = [*TRAINING, *chosen, "--until", "train"]
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "steps" in line and line.startswith("train"):
                break
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert "run the same command again to go on" in err
    assert "Traceback" not in err
    again = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert "going on after step" in again.stdout
    made = here / "outputs/quickstart/train"
    history = (made / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in history] == list(range(1, epochs + 1))
    elsewhere = {name: str(tmp_path / name) for name in ("PIPE_STORE", "PIPE_OUTPUTS", "PIPE_STATE")}
    straight = subprocess.run(words, env=env | elsewhere, capture_output=True, text=True, timeout=120)
    assert straight.returncode == 0, straight.stderr
    for file in ("model.safetensors", "last.safetensors", "history.jsonl", "training.json"):
        assert (made / file).read_bytes() == (tmp_path / "PIPE_OUTPUTS/quickstart/train" / file).read_bytes(), file


def test_faceformer_vocaset(here, official, capsys) -> None:
    assert run_tiny("faceformer_vocaset.toml", *official) == 0
    out = here / "outputs/faceformer_vocaset"
    made = sorted(path.name for path in (out / "infer/npy").iterdir())
    assert len(made) == 8  # an unseen subject speaks in the style of all eight training subjects
    assert made[0].startswith("FaceTalk_170809_00138_TA_sentence21_condition_FaceTalk_170725_00137_TA")
    assert list((out / "render").glob("*.mp4"))


def test_released_weights_are_evaluated_without_training(here, official, capsys) -> None:
    """A file as the released code saves it: plain names, weight_g and weight_v, the table of positions."""
    assert run_tiny("faceformer_vocaset.toml", *official) == 0
    trained = here / "outputs/faceformer_vocaset"
    first = np.load(next((trained / "infer/npy").iterdir()))
    state = load_file(trained / "train/model.safetensors")
    renamed = as_released(state)
    renamed["PPE.pe"] = torch.zeros(1, 630, 64)
    torch.save(renamed, here / "vocaset.pth")
    words = [*official, "step.train.epochs=0", "step.train.weights=vocaset.pth"]
    code = run_tiny("faceformer_vocaset.toml", *words)
    assert (code, "PPE" in capsys.readouterr().err) == (1, True)  # a table that is not FaceFormer's is refused
    del renamed["PPE.pe"]
    torch.save(renamed, here / "vocaset.pth")
    assert run_tiny("faceformer_vocaset.toml", *words) == 0
    np.testing.assert_allclose(np.load(next((trained / "infer/npy").iterdir())), first, atol=1e-7)


def test_faceformer_biwi_as_published_beside_its_faster_form(here, official, biwi, monkeypatch) -> None:
    monkeypatch.setenv("BIWI_ROOT", str(biwi))
    words = [*official, "step.train.epochs=2"]
    assert run_tiny("faceformer_biwi.toml", *words) == 0
    assert run_tiny("faceformer_biwi.toml", *words, options=["--as-published"]) == 0
    faster, published = (here / "outputs" / f"faceformer_biwi{end}" for end in ("", "-as_published"))
    assert (faster / "features").resolve() == (published / "features").resolve()
    made = sorted(path.name for path in (published / "infer/npy").iterdir())
    assert made == ["F2_e37_condition_F2.npy", "M3_e37_condition_M3.npy"]
    assert list((published / "render").glob("*.mp4"))
    steps = [
        json.loads((out / "train/history.jsonl").read_text().splitlines()[-1])["step"] for out in (faster, published)
    ]
    assert steps == [2, 4]  # of two clips each epoch, together and one after the other


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["step.preprocess.root=nowhere"], "the folder"),
        (["step.features.encoder=nobody/no-such-encoder"], "could not be downloaded"),
        (["step.train.weights=absent.pth"], "absent.pth is missing"),
    ],
)
def test_what_is_missing_is_said(here, official, capsys, monkeypatch, words, sentence) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code = run_tiny("faceformer_vocaset.toml", *official, *words)
    assert code in (1, 2)
    assert sentence in capsys.readouterr().err
