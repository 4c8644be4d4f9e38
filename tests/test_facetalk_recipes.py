"""FaceTalk's recipes in their tiny form: drawn motion from raw data to metrics and video, of vertices and a track."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.recipe import load
from stages.kinds.checkpoint import Checkpoint
from stages.kinds.predictions import Predictions
from stages.kinds.sequences import Sequences
from stages.kinds.surfaces import Surfaces
from tests.models.nphm import tiny
from tests.pipeline.test_cli import pipe
from tests.recipe_runs import ONE_THREAD, ROOT, encoder, here, official, run_tiny, settings, store, vocaset
from tests.stages.preprocess.facetalk_files import CODE, write_facetalk
from tests.stages.voices import write_tone

ON_CPU = ["--device", "cpu", *ONE_THREAD]
__all__ = ["encoder", "here", "official", "store", "vocaset"]


@pytest.fixture
def tracked(here: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    root = here / "facetalk"
    if not root.exists():
        write_facetalk(root)
        masks = {"lips": np.array([0, 1]), "forehead": np.array([2, 3])}
        (root / "FLAME_masks.pkl").write_bytes(pickle.dumps(masks, protocol=2))
    monkeypatch.setenv("FACETALK_ROOT", str(root))
    return [f"step.features.encoder={encoder}"]


@pytest.fixture
def published_head(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head model of MonoNPHM's form, whose codes are as long as those of the data."""
    moves = replace(tiny.BACKWARDS, expression=CODE)
    made = tiny.model(tiny.CANONICAL, moves, tiny.BACKWARD)
    file = here / "head.tar"
    torch.save(tiny.mono_content(made), file)
    monkeypatch.setenv("FACETALK_HEAD", str(file))
    monkeypatch.setenv("NPHM_ASSETS", str(tiny.write_assets(here / "assets", tiny.CANONICAL)))


def numbers(out: Path) -> dict[tuple[str, str], dict[str, Any]]:
    records = json.loads((out / "metrics/metrics.json").read_text())["numbers"]
    return {(record["row"], record["metric"]): record for record in records}


@pytest.mark.parametrize("name", ["vocaset", "flame"])
def test_as_stated_and_as_recommended(name: str) -> None:
    steps = load(ROOT / f"recipes/facetalk_{name}.toml").steps
    values, infer = steps["train"].values, steps["infer"].values
    fps = steps["preprocess"].values["fps"]
    assert values["crop"] == 2 * fps, "seconds, as published"
    stated = ("diffusion_steps", "audio_dropout", "optimiser", "lr", "schedule", "reach", "frozen_encoder")
    assert [values[key] for key in stated] == [1000, 0.25, "adam", 1e-4, "constant", 0, True]
    size = ("feature_dim", "layers", "heads", "feedforward", "dropout", "noise_schedule", "scale_low", "scale_high")
    assert [values[key] for key in size] == [512, 8, 8, 1024, 0.1, "cosine", 0.7, 1.3]
    assert (values["track"], values["pca"]) == ("", 0)
    assert [values[key] for key in ("batch_size", "ema", "grad_clip")] == [32, 0.9999, 1.0]
    assert [infer[key] for key in ("samples", "sampler", "steps", "guidance")] == [4, "ddim", 50, 2.0]


def test_synthetic_from_nothing_to_samples_on_video(here: Path) -> None:
    assert run_tiny("facetalk_synthetic.toml") == 0
    out = here / "outputs/facetalk_synthetic"
    data, made = Sequences(out / "preprocess"), Predictions(out / "infer")
    assert sorted(made.items) == [f"{name}_condition_mean_seed{seed}" for name in data.ids("test") for seed in (1, 2)]
    one, other = (made.motion(f"{data.ids('test')[0]}_condition_mean_seed{seed}") for seed in (1, 2))
    assert not np.array_equal(one, other)
    found = numbers(out)
    assert {row for row, _ in found} == {"model", "best of 2", "neutral template", "mean motion"}
    best, mean = (found[row, "lve/facediffuser"]["value"] for row in ("best of 2", "model"))
    assert best <= mean
    assert found["model", "diversity_samples/facepipe"]["value"] > 0
    assert list(out.glob("render/*_seed*.mp4"))


def test_synthetic_by_its_controls(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As the recipe's comment says; the face is not looked at, and what would look at it says why."""
    controls = ["step.train.track=controls", "step.train.pca=0"]
    assert run_tiny("facetalk_synthetic.toml", *controls, options=["--until", "metrics"]) == 0
    out = here / "outputs/facetalk_synthetic"
    assert Checkpoint(out / "train").facts.width == 8
    assert Predictions(out / "infer").info.track == "controls"
    found = numbers(out)
    assert {row for row, _ in found} == {"model", "best of 2", "neutral code", "mean code"}
    capsys.readouterr()
    assert run_tiny("facetalk_synthetic.toml", *controls) == 1
    said = "rows of the track 'controls' and no vertices: nothing makes faces of them"
    assert said in "".join(capsys.readouterr())
    line = own_sound(here, "facetalk_synthetic.toml", *controls)
    assert pipe(*line, "--render") == 2
    assert f"--render: this network makes {said}" in capsys.readouterr().err
    assert pipe(*line) == 0
    told = capsys.readouterr().out
    assert f"these are {said}" in told
    assert "pipe stage drive" not in told


def test_vocaset_in_the_authors_layout(here: Path, official: list[str]) -> None:
    assert run_tiny("facetalk_vocaset.toml", *official) == 0
    found = numbers(here / "outputs/facetalk_vocaset")
    assert ("best of 2", "lve/facediffuser") in found
    assert ("model", "diversity_samples/facepipe") in found


def test_flame_meshes_in_the_releases_layout(here: Path, tracked: list[str]) -> None:
    assert run_tiny("facetalk_flame.toml", *tracked) == 0
    out = here / "outputs/facetalk_flame"
    assert Sequences(out / "preprocess").fps == 24
    assert ("model", "fdd/facediffuser") in numbers(out)
    assert list(out.glob("render/*.mp4"))
    line = ["run", str(ROOT / "recipes/facetalk_flame.toml"), "--tiny", "--device", "cpu", "--until", "metrics"]
    assert pipe(*line, *settings(*tracked, "step.train.track=nphm_expression")) == 0
    assert Checkpoint(out / "train").facts.width == CODE
    assert ("model", "code_mse/facepipe") in numbers(out)


def test_codes_of_the_release_become_surfaces_on_video(
    here: Path, tracked: list[str], published_head: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_tiny("facetalk_nphm.toml", *tracked) == 0
    out = here / "outputs/facetalk_nphm"
    assert Checkpoint(out / "train").facts.track == "nphm_expression"
    assert ("best of 2", "code_mse/facepipe") in numbers(out)
    [(name, made)] = Surfaces(out / "meshes").items.items()
    assert len(list((out / "meshes/meshes" / name).glob("frame_*.ply"))) == made.frames
    assert [file.stem for file in (out / "film").glob("*.mp4")] == [name]
    capsys.readouterr()
    assert pipe(*own_sound(here, "facetalk_nphm.toml", *tracked), "--samples", "1") == 0
    meshes, film = (one.split() for one in capsys.readouterr().out.splitlines() if "pipe stage" in one)
    [head] = (f"head/{folder.name}" for folder in (here / "store/head").iterdir())
    small = ["--resolution", "16", "--device", "cpu"]
    assert pipe(*(head if word == "NAME" else word for word in meshes[1:]), *small) == 0
    surfaces = next(word for word in capsys.readouterr().out.split() if word.startswith("meshes/"))
    assert pipe(*(surfaces if word == "meshes/…" else word for word in film[1:7]), "--size", "64") == 0
    assert [file.name for file in (here / "outputs/stage/film").glob("*.mp4")] == ["my_condition_mean_seed0.mp4"]


def test_synthetic_by_way_of_a_head_model_of_its_own(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_tiny("facetalk_synthetic_nphm.toml") == 0
    out = here / "outputs/facetalk_synthetic_nphm"
    codes, faces, own = (Predictions(out / step) for step in ("infer", "drive", "own"))
    assert codes.info.track == "nphm_expression"
    assert (faces.info.track, list(faces.items)) == ("", list(codes.items))
    data = Sequences(out / "track")
    assert faces.motion(next(iter(faces.items))).shape[1:] == (data.info.vertices, 3)
    assert {item.id for item in own.items.values()} == set(data.ids("test"))
    assert ("best of 2", "lve/facediffuser") in numbers(out)
    assert list(out.glob("render/*.mp4"))
    assert list(out.glob("film/*.mp4"))
    spoken_codes_become_faces_by_the_commands_that_are_told(here, capsys)


def spoken_codes_become_faces_by_the_commands_that_are_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = own_sound(here, "facetalk_synthetic_nphm.toml")
    capsys.readouterr()
    assert pipe(*line, "--render") == 2
    refused = capsys.readouterr()
    assert "--render: this network makes rows of the track 'nphm_expression' and no vertices" in refused.err
    assert "voice" not in refused.out, "refused before anything is made"
    assert pipe(*line, "--samples", "1") == 0
    told = capsys.readouterr().out.splitlines()
    drive, render = ([word for word in one.split() if word] for one in told if "pipe stage" in one)
    assert pipe(*drive[1:], "--device", "cpu") == 0
    made = next(word for word in capsys.readouterr().out.split() if word.startswith("drive/"))
    assert pipe(*(made if word == "drive/…" else word for word in render[1:7]), "--size", "64") == 0
    assert [file.name for file in (here / "outputs/stage/render").glob("*.mp4")] == ["my_condition_mean_seed0.mp4"]


def own_sound(here: Path, recipe: str, *changes: str) -> list[str]:
    """`pipe infer` of a sound of the user's."""
    sound = write_tone(here / "my.wav", seconds=0.5)
    return ["infer", str(ROOT / "recipes" / recipe), "--tiny", *settings(*changes), "--audio", str(sound), *ON_CPU]
