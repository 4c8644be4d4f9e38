"""Surfaces become videos as predictions do, beside the truth, whatever their triangles are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from faces.errors import DataError
from stages.film import Film, Params
from stages.kinds.surfaces import Surfaces, mesh_file, write_index
from tests.stages.fake_job import FakeJob
from tests.stages.surface_runs import make_surfaces
from tests.stages.talking_spheres import make_data

SMALL: dict[str, Any] = {"size": 64, "preset": "ultrafast", "limit": 1}
NAME = "B_s1_condition_B"


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    data = make_data(tmp_path / "data", frames=4)
    return {"data": data, "surfaces": make_surfaces(tmp_path / "surfaces", data)}


def run(folder: Path, inputs: dict[str, Path], **params: Any) -> FakeJob:
    job = FakeJob.under(folder, inputs)
    Film(Params(**SMALL | params)).run(job)
    return job


def index(job: FakeJob) -> dict[str, Any]:
    return json.loads((job.out / "video.json").read_text())


def decoded(file: Path) -> list[np.ndarray]:
    with av.open(str(file)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_a_clip_shows_the_truth_beside_the_surface(inputs: dict[str, Path], tmp_path: Path) -> None:
    job = run(tmp_path / "run", inputs, captions=False)
    frames = decoded(job.out / f"{NAME}.mp4")
    assert len(frames) == 4
    assert frames[0].shape == (64, 128, 3)
    truth, surface = np.split(frames[0].astype(int), 2, axis=1)
    assert np.abs(truth - surface).mean() < 6, "the same egg, in other triangles"
    assert np.abs(surface - 255).max() > 50, "there is something to be seen"
    facts = index(job)["clips"][NAME]
    assert (facts["columns"], facts["sound"], facts["frames"]) == (["truth", "prediction"], True, 4)
    assert len(list((job.out / "stills").iterdir())) == 2


def test_without_truth_the_surface_is_alone_and_its_own_mouth_chooses_stills(
    inputs: dict[str, Path], tmp_path: Path
) -> None:
    surfaces = Surfaces(inputs["surfaces"])
    kept = surfaces.items[NAME]
    facts = vars(surfaces.info) | {
        "items": {NAME: type(kept)("elsewhere", "B", "B", "test", 4)}, "made": {NAME: surfaces.info.made[NAME]},
    }  # fmt: skip
    write_index(inputs["surfaces"], type(surfaces.info)(**facts))
    job = run(tmp_path / "run", inputs, captions=False)
    clip = index(job)["clips"][NAME]
    assert (clip["columns"], clip["sound"]) == (["prediction"], False)
    assert clip["stills"] == [f"{NAME}_frame0001.png", f"{NAME}_frame0003.png"]
    assert decoded(job.out / f"{NAME}.mp4")[0].shape == (64, 64, 3)
    assert any("no ground truth" in line for line in job.said)


def test_captions_name_the_model_and_its_sample(inputs: dict[str, Path], tmp_path: Path) -> None:
    inputs["surfaces"] = make_surfaces(tmp_path / "drawn", inputs["data"], larger={7: 0.0})
    job = run(tmp_path / "run", inputs, size=128)
    picture = decoded(job.out / f"{NAME}_seed7.mp4")[0]
    assert picture.shape == (128 + 12, 256, 3)
    for panel in np.split(picture[:12], 2, axis=1):
        assert panel.min() < 120, "something is written"


def test_damage_is_told_with_the_frame(inputs: dict[str, Path], tmp_path: Path) -> None:
    mesh_file(inputs["surfaces"], NAME, 2).unlink()
    with pytest.raises(DataError, match="frame_00002"):
        run(tmp_path / "run", inputs)
    other = make_data(tmp_path / "mm", frames=4, units="mm")
    with pytest.raises(DataError, match="use the sequences that the surfaces were made from"):
        run(tmp_path / "other", {**inputs, "data": other})


def test_parameters_that_do_not_fit_are_told_early() -> None:
    assert "size must be even" in next(iter(Film(Params(size=65)).check()))
    assert "columns must name" in next(iter(Film(Params(columns=[])).check()))
    assert "background must be" in next(iter(Film(Params(background="sky")).check()))
