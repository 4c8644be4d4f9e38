"""What `pipe bench` measures with: networks at published sizes, made-up clips, limits, the GPU's own program."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline.commands.bench import talking
from pipeline.recipe import load
from stages.bench import Task, Wish, worker
from stages.bench.sizes import build, facts, settings
from stages.bench.synthetic import read_clips, write_clips
from stages.bench.training import Subject, durations, time_steps
from stages.bench.utilisation import Utilisation
from stages.train import Params
from stages.train.clips import Take
from tests.recipe_runs import ROOT


@pytest.mark.parametrize("data", ["vocaset", "biwi"])
def test_official_sizes_are_those_of_the_recipes(data: str) -> None:
    recipe = load(ROOT / f"recipes/codetalker_{data}.toml")
    found = settings("codetalker", data, "official")
    assert found.feedforward == 0, "which is twice feature_dim"
    wanted = recipe.steps["train"].stage.settings["model"]
    assert wanted == replace(found, feedforward=2 * found.feature_dim)
    assert recipe.steps["prior"].stage.settings["model"] == settings("codetalker-vq", data, "official")


def test_faceformer_on_vocaset_has_the_size_of_its_recipe() -> None:
    recipe = load(ROOT / "recipes/faceformer_vocaset.toml")
    assert recipe.steps["train"].stage.settings["model"] == settings("faceformer", "vocaset", "official")
    assert settings("faceformer", "biwi", "official").feature_dim == 128


@pytest.mark.parametrize("data", ["vocaset", "biwi"])
def test_made_up_clips_are_what_training_reads(tmp_path: Path, data: str) -> None:
    network, prior = build("codetalker", data, "small", "cpu")
    assert prior is not None
    write_clips(tmp_path, facts(data, "small"), [0.5, 1.0, 0.5], prior)
    clips = read_clips(tmp_path)
    clips.check_codes(network.frames_to_learn)
    first, second, third = (take for takes in clips.takes("train") for take in takes)
    assert isinstance(first, Take)
    batch = clips.batch([first, second])
    assert batch.vertices is not None
    assert batch.frames is not None
    fps = facts(data, "small").fps
    assert batch.frames.tolist() == [round(0.5 * fps), fps]
    assert batch.feature_lengths.tolist() == [24, 49]
    assert (batch.vertices[1] - batch.template[1]).abs().max() > 1e-4
    assert torch.isfinite(network.losses(clips.batch([first, third]))["loss"])


@pytest.mark.parametrize("data", ["vocaset", "biwi"])
def test_made_up_clips_hold_text_and_regions_where_they_are_wanted(tmp_path: Path, data: str) -> None:
    network, _ = build("selftalk", data, "small", "cpu")
    told, wants = facts(data, "small", "selftalk"), settings("selftalk", data, "small").wants()
    write_clips(tmp_path, told, [0.5, 1.0])
    clips = read_clips(tmp_path, wants)
    read = clips.facts()
    assert (read.vocabulary, read.text_width) == (told.vocabulary, told.text_width)
    assert read.regions == {"lips": list(range(12))}
    batch = clips.batch([take for takes in clips.takes("train") for take in takes])
    assert batch.text_hidden is not None
    assert batch.text_hidden.shape[:2] == batch.features.shape[:2]
    assert network.losses(batch).keys() == {"loss", "position", "velocity", "latent", "text"}


@pytest.mark.parametrize(("data", "width", "lips"), [("vocaset", 512, 254), ("biwi", 1024, 4996)])
def test_selftalk_is_measured_at_its_authors_sizes(data: str, width: int, lips: int) -> None:
    told = facts(data, "official", "selftalk")
    assert settings("selftalk", data, "official").feature_dim == width
    assert (len(told.regions["lips"]), len(told.vocabulary), told.text_width) == (lips, 33, 1024)
    assert told.encoder_config["num_hidden_layers"] == 24
    assert facts(data, "official", "faceformer") == facts(data, "official")


def test_every_step_of_the_loop_is_timed() -> None:
    network, _ = build("faceformer", "vocaset", "small", "cpu")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    params = Params(model="faceformer", epochs=2, batch_size=2)
    job = time_steps(Subject(network, facts("vocaset", "small")), [0.3, 0.4, 0.3], params, "cpu")
    assert len(durations(job)) == 4
    assert min(durations(job)) > 0
    assert any(not torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("model", talking())
def test_what_may_take_too_long_is_left_out(model: str) -> None:
    wish = Wish(size="small", data="biwi", seconds=(0.5, 1.0), batch=2, repeats=3, limit=1e-6)
    lines = list(worker.measure(Task(model, "float32", wish)))
    assert [line["inference"]["seconds"] for line in lines if "inference" in line] == [0.5, 0.5]
    assert [line["training"]["batch"] for line in lines if "training" in line] == [1]
    left_out = [line["left_out"] for line in lines if "left_out" in line]
    assert [what.partition(":")[0] for what in left_out] == [
        "speech of 1 s, 1 at once", "speech of 1 s, 2 at once", "training with a batch of 2",
    ]  # fmt: skip


def test_a_task_survives_its_journey() -> None:
    task = Task("faceformer", "bf16", Wish(seconds=[1.0, 2.5], device="cuda:1"))
    assert Task.from_json(task.to_json()) == task


def test_use_of_a_gpu_is_sampled_by_its_own_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, ready = tmp_path / "nvidia-smi", tmp_path / "ready"
    program.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/words\necho 50\necho "[N/A]"\necho 70\n: > {ready}\nread x\n'
    )
    program.chmod(0o755)
    os.mkfifo(ready)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(Utilisation, "_id", lambda self: "GPU-1")
    with Utilisation("cuda") as used:
        ready.read_text()
    assert used.mean() == pytest.approx(0.6)
    assert "--id=GPU-1 --query-gpu=utilization.gpu" in (tmp_path / "words").read_text()


def test_without_that_program_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with Utilisation("cuda") as used:
        pass
    assert used.mean() is None
