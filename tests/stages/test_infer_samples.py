"""Networks whose motion is drawn: several samples of a sentence, of vertices or of a track."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cache.manifest import Manifest
from faces.errors import DataError
from models.sampling import Sampling
from models.talking_face import Speech
from pipeline.errors import RecipeError
from pipeline.stage import Given, Upstream
from stages.infer import Infer, Params
from stages.kinds.checkpoint import Checkpoint
from stages.kinds.features import Features
from stages.kinds.predictions import Predictions
from stages.kinds.sequences import Sequences
from stages.lipread import LipRead
from stages.lipread import Params as LipReadParams
from stages.render import Params as RenderParams
from stages.render import Render
from tests.stages import drawing_face, fake_face
from tests.stages.fake_job import FakeJob
from tests.stages.speaking_runs import features_of, trained_on
from tests.stages.tiny import make_sequences
from tests.stages.tracked import SIZE, TRACK, add_track

SEED = 7


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("drawn")
    found = {"data": add_track(make_sequences(root / "sequences"))}
    found["features"] = features_of(found["data"], root / "f")
    return found


def taught(folder: Path, inputs: dict[str, Path], track: str) -> dict[str, Path]:
    return trained_on(inputs, folder, drawing_face.NAME, drawing_face.Settings(track=track), epochs=2, lr=1e-3)


@pytest.fixture(scope="module")
def of_vertices(inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return taught(tmp_path_factory.mktemp("v"), inputs, "")


@pytest.fixture(scope="module")
def of_track(inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return taught(tmp_path_factory.mktemp("t"), inputs, TRACK)


def run(folder: Path, inputs: dict[str, Path], **params: Any) -> Predictions:
    job = FakeJob.under(folder, inputs, seed=SEED)
    Infer(Params(**params)).run(job)
    return Predictions(job.out)


def test_samples_are_named_by_their_numbers(of_vertices: dict[str, Path], tmp_path: Path) -> None:
    made = run(tmp_path, of_vertices, samples=2)
    sentences = ("B_s03", "D_s01", "D_s02", "D_s03")
    assert sorted(made.items) == [f"{name}_condition_mean_seed{number}" for name in sentences for number in (7, 8)]
    assert sorted(file.stem for file in (made.path / "npy").iterdir()) == sorted(made.items)
    item = made.items["D_s02_condition_mean_seed8"]
    assert (item.id, item.subject, item.condition, item.seed) == ("D_s02", "D", "mean", 8)
    assert made.info.in_style("lips", item) == "lips, sample 8"
    assert made.info.track == ""


def test_samples_differ_and_hang_on_their_number_alone(of_vertices: dict[str, Path], tmp_path: Path) -> None:
    four = run(tmp_path / "a", of_vertices, samples=4)
    motions = [four.rows(f"D_s01_condition_mean_seed{number}") for number in range(SEED, SEED + 4)]
    assert len({motion.tobytes() for motion in motions}) == 4
    two = run(tmp_path / "b", of_vertices, samples=2, at_once=1)
    for name in two.items:
        np.testing.assert_array_equal(two.rows(name), four.rows(name))
    one, other = (four.rows(f"D_s0{number}_condition_mean_seed7") for number in (1, 2))
    shared = min(len(one), len(other))
    assert not np.array_equal(one[:shared], other[:shared]), "each sentence has a stream of its own"


def test_motion_is_what_the_network_draws(of_vertices: dict[str, Path], tmp_path: Path) -> None:
    made = run(tmp_path, of_vertices, samples=2, guidance=3.0)
    network: Any = Checkpoint(of_vertices["checkpoint"]).load_network()
    network.sample_with(Sampling(guidance=3.0))
    from stages.infer.manners import seed_of

    heard = torch.from_numpy(Features(of_vertices["features"])["D_s01"])
    template = torch.from_numpy(Sequences(of_vertices["data"]).template_of("D_s01").reshape(-1))
    seeds = [seed_of(number, "D_s01") for number in (7, 8)]
    (expected,) = network.predict_all([Speech(heard, template, torch.full((1, 2), 0.5), seeds)])
    for row, number in zip(expected, (7, 8), strict=True):
        np.testing.assert_allclose(made.rows(f"D_s01_condition_mean_seed{number}"), row, atol=1e-6)


@pytest.mark.parametrize(("at_once", "expected"), [(8, [[3, 3], [3, 3]]), (3, [[3]] * 4), (2, [[2], [1]] * 4)])
def test_samples_of_a_sentence_are_made_together(
    of_vertices: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
    expected: list[list[int]],
) -> None:
    asked: list[list[int]] = []
    original = drawing_face.DrawingFace.predict_all

    def counted(self: Any, speeches: Any) -> Any:
        asked.append([speech.motions for speech in speeches])
        return original(self, speeches)

    monkeypatch.setattr(drawing_face.DrawingFace, "predict_all", counted)
    run(tmp_path, of_vertices, samples=3, at_once=at_once)
    assert sorted(asked) == sorted(expected)


def test_how_it_is_drawn_is_told(of_vertices: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Sampling] = []
    monkeypatch.setattr(drawing_face.DrawingFace, "sample_with", lambda self, sampling: told.append(sampling))
    run(tmp_path, of_vertices, sampler="ddim", steps=5, eta=0.5, guidance=1.5, long="whole")
    assert told == [Sampling("ddim", 5, 0.5, 1.5, "whole")]


def test_a_network_that_makes_as_many_frames_is_told_those_of_the_motion(
    of_vertices: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[bool, set[int]] = {False: set(), True: set()}
    keys = {}
    original = drawing_face.DrawingFace.predict_all

    def heard(self: Any, speeches: Any) -> Any:
        told[drawing_face.Settings.fits_motion].update(speech.frames for speech in speeches)
        return original(self, speeches)

    monkeypatch.setattr(drawing_face.DrawingFace, "predict_all", heard)
    for fits in (False, True):
        monkeypatch.setattr(drawing_face.Settings, "fits_motion", fits, raising=False)
        run(tmp_path / str(fits), of_vertices)
        given = {slot: Given(path, {"all": "x"}, lambda: Manifest({})) for slot, path in of_vertices.items()}
        keys[fits] = Infer(Params()).items(given, {}).each or {}
    data = Sequences(of_vertices["data"])
    assert told[False] == {0}
    assert told[True] == {data.entry(name).frames for name in data.ids("test")}
    assert all(keys[True][name] == [*facts, data.entry(name).frames] for name, facts in keys[False].items())


def test_rows_of_a_track(of_track: dict[str, Path], tmp_path: Path) -> None:
    made = run(tmp_path / "p", of_track, samples=2)
    assert made.info.track == TRACK
    name = "D_s01_condition_mean_seed7"
    assert made.rows(name).shape == (made.items[name].frames, SIZE)
    said = "rows of the track 'codes' and no vertices: nothing makes faces of them, only of rows of 'nphm_expression'"
    with pytest.raises(DataError, match=said):
        made.motion(name)
    given = {"data": of_track["data"], "predictions": made.path}
    with pytest.raises(DataError, match=said):
        Render(RenderParams()).run(FakeJob.under(tmp_path / "r", given))
    with pytest.raises(DataError, match=said):
        LipRead(LipReadParams()).run(FakeJob.under(tmp_path / "l", given | {"expert": tmp_path}))


def test_a_track_is_spoken_where_the_data_have_none(of_track: dict[str, Path], tmp_path: Path) -> None:
    """Sound of a user's own has neither the track nor vertices, and any mesh may be behind it."""
    other = make_sequences(tmp_path / "plain", units="mm")
    made = run(tmp_path / "p", of_track | {"data": other, "features": features_of(other, tmp_path / "f")})
    assert made.rows("D_s01_condition_mean_seed7").shape[1] == SIZE


def test_no_sample_of_what_draws_none() -> None:
    upstream = {"checkpoint": Upstream("train", "t", {"model": fake_face.NAME})}
    assert list(Infer(Params()).components(upstream)) == [fake_face.NAME]
    with pytest.raises(RecipeError, match=r"samples = 3, guidance = 1\.0: the network of step 'train' \(tests"):
        Infer(Params(samples=3, guidance=1.0)).components(upstream)
    drawing = {"checkpoint": Upstream("train", "t", {"model": drawing_face.NAME})}
    assert list(Infer(Params(samples=3, guidance=1.0)).components(drawing)) == [drawing_face.NAME]


def test_no_more_steps_than_were_trained_with() -> None:
    trained = {"checkpoint": Upstream("train", "t", {"model": drawing_face.NAME, "diffusion_steps": 40})}
    with pytest.raises(RecipeError, match=r"steps = 50 is more than the 40 .*: take 40 or fewer \(step 'train'\)"):
        Infer(Params()).components(trained)
    assert list(Infer(Params(steps=40)).components(trained)) == [drawing_face.NAME]
    assert list(Infer(Params(sampler="ancestral")).components(trained)) == [drawing_face.NAME]


def test_words_that_the_sampler_does_not_read() -> None:
    said = list(Infer(Params(sampler="ancestral", steps=20, eta=0.3)).check())
    assert said == [
        "steps = 20 is read by sampler = 'ddim' only: set that, or steps = 50 as usual",
        "eta = 0.3 is read by sampler = 'ddim' only: set that, or eta = 0 as usual",
    ]


def test_where_nothing_is_drawn_names_stay(inputs: dict[str, Path], tmp_path: Path) -> None:
    given = trained_on(inputs, tmp_path, fake_face.NAME, fake_face.Settings(), epochs=1)
    made = run(tmp_path / "p", given)
    assert "D_s01_condition_A" in made.items
    index = json.loads((made.path / "predictions.json").read_text())
    assert index["items"]["D_s01_condition_A"]["seed"] is None
    files = os.listdir(made.path / "npy")
    assert files
    assert not any("seed" in name for name in files)
