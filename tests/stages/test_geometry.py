"""Surfaces are held against the truth: spheres of known sizes, so that distances are known, too."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faces.errors import DataError
from pipeline.errors import RecipeError, StageError
from pipeline.stage import Upstream
from pipeline.table import report as table_report
from stages.geometry import Geometry, Params
from stages.kinds.surfaces import mesh_file
from tests.stages.fake_job import FakeJob
from tests.stages.surface_runs import make_surfaces
from tests.stages.talking_spheres import make_data

FRAMES = 4
FEW: dict[str, Any] = {"points": 3000}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data") / "data", frames=FRAMES)


def run(folder: Path, inputs: dict[str, Path], **params: Any) -> FakeJob:
    job = FakeJob.under(folder, inputs)
    Geometry(Params(**FEW | params)).run(job)
    return job


def numbers(job: FakeJob) -> dict[tuple[str, str], dict[str, Any]]:
    facts = json.loads((job.out / "metrics.json").read_text())
    return {(one["row"], one["family"]): one for one in facts["numbers"]}


def test_how_far_surfaces_are_from_the_datas_meshes(data: Path, tmp_path: Path) -> None:
    made = make_surfaces(tmp_path / "made", data, larger={None: 0.1}, frames=FRAMES)
    job = run(tmp_path / "run", {"data": data, "surfaces": made})
    found = numbers(job)
    chamfer = found["model", "chamfer_l1"]
    assert (chamfer["unit"], chamfer["unit_mm"]) == ("m", "mm")
    assert 10 < chamfer["value_mm"] < 14, "a tenth of 110 or 120 mm, and the chin's drop"
    assert found["model", "chamfer_l2"]["unit_mm"] == "mm²"
    assert 100 < found["model", "chamfer_l2"]["value_mm"] < 200
    assert found["model", "fscore_1mm"]["value"] < 0.05
    assert found["model", "normal_consistency"]["value"] > 0.95
    assert found["model", "chamfer_l1"]["frames"] == 4 * FRAMES
    assert found["neutral template", "chamfer_l1"]["value_mm"] < 8
    assert "held against the data's meshes" in json.loads((job.out / "metrics.json").read_text())["notes"]
    assert "Chamfer-L1 mm" in job.said[1]
    assert "F@5mm" in job.said[1]


def test_every_nth_frame_and_rows_by_sequence(data: Path, tmp_path: Path) -> None:
    made = make_surfaces(tmp_path / "made", data, frames=FRAMES)
    job = run(tmp_path / "run", {"data": data, "surfaces": made}, every=3)
    with (job.out / "per_sequence.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {(row["row"], row["id"], row["frames"]) for row in rows if row["id"] == "B_s1"} == {
        ("model", "B_s1", "2"),
        ("neutral template", "B_s1", "2"),
        ("truth drawn again", "B_s1", "1"),
    }
    assert "one frame of 3, 3000 points" in numbers(job)["model", "accuracy"]["frame_rule"]
    assert 0 < float(rows[0]["chamfer_l1/nphm"]) < 0.01


def test_samples_as_mean_and_as_the_best(data: Path, tmp_path: Path) -> None:
    made = make_surfaces(tmp_path / "made", data, larger={1: 0.2, 2: 0.1}, frames=FRAMES)
    job = run(tmp_path / "run", {"data": data, "surfaces": made}, every=2)
    found = numbers(job)
    mean, best = found["model", "chamfer_l1"]["value"], found["best of 2", "chamfer_l1"]["value"]
    assert best < 0.8 * mean
    assert found["best of 2", "fscore_5mm"]["value"] >= found["model", "fscore_5mm"]["value"]
    assert found["model", "chamfer_l1"]["samples"] == 2
    read = table_report.read(job.out / "metrics.json")
    assert (read.samples, read.best_row, read.baselines) == (2, "best of 2", ["neutral template", "truth drawn again"])


def test_other_surfaces_may_be_the_truth(data: Path, tmp_path: Path) -> None:
    inputs = {
        "data": data,
        "surfaces": make_surfaces(tmp_path / "made", data, larger={3: 0.0}, frames=FRAMES),
        "truth": make_surfaces(tmp_path / "true", data, frames=FRAMES),
    }
    job = run(tmp_path / "run", inputs)
    found = numbers(job)
    assert {row for row, _ in found} == {"model", "truth drawn again"}
    floor = found["truth drawn again", "chamfer_l1"]
    assert (floor["frames"], floor["sequences"]) == (4, 4)
    assert np.isclose(found["model", "chamfer_l1"]["value"], floor["value"], rtol=0.03)
    assert "surfaces of balls" in job.said[0]
    inputs["truth"] = make_surfaces(tmp_path / "two", data, larger={1: 0.0, 2: 0.0}, frames=FRAMES)
    with pytest.raises(DataError, match="has 2 surfaces of B_s1, and a truth is one"):
        run(tmp_path / "again", inputs)


def test_a_region_is_looked_at_alone(data: Path, tmp_path: Path) -> None:
    made = make_surfaces(tmp_path / "made", data, frames=FRAMES)
    inputs = {"data": data, "surfaces": made}
    upper, lower = (
        numbers(run(tmp_path / region, inputs, region=region))["model", "chamfer_l1"]
        for region in ("lip_upper", "lip_lower")
    )
    assert upper["value"] < 0.6 * lower["value"], "the chin drops and the forehead stays"
    assert [part["name"] for part in upper["region"]] == ["lip_upper"]
    with pytest.raises(
        StageError, match=r"no region 'lip_uper'; it has lip_lower, lip_upper. Did you mean 'lip_upper'"
    ):
        run(tmp_path / "other", inputs, region="lip_uper")


def test_what_does_not_fit_is_told(data: Path, tmp_path: Path) -> None:
    made = make_surfaces(tmp_path / "made", data, frames=FRAMES)
    with pytest.raises(StageError, match="holds no surfaces of val"):
        run(tmp_path / "a", {"data": data, "surfaces": made}, splits=["val"])
    mesh_file(made, "C_s1_condition_C", 3).write_bytes(b"ply\n")
    with pytest.raises(DataError, match="frame_00003"):
        run(tmp_path / "b", {"data": data, "surfaces": made})
    units = make_data(tmp_path / "areas", frames=FRAMES, units="unit-area")
    unmeasured = make_surfaces(tmp_path / "unmeasured", units, frames=FRAMES, units="unit-area")
    with pytest.raises(StageError, match="which are no lengths"):
        run(tmp_path / "c", {"data": units, "surfaces": unmeasured})
    wired = {slot: Upstream(slot, slot, {}) for slot in ("data", "surfaces", "truth")}
    with pytest.raises(RecipeError, match="region is of the data's topology"):
        Geometry(Params(region="lips")).components(wired)


def test_millimetres_are_those_of_the_unit(tmp_path: Path) -> None:
    """The egg is a tenth of a unit large: in mm all is nearer than a millimetre."""
    data = make_data(tmp_path / "data", frames=FRAMES, units="mm")
    made = make_surfaces(tmp_path / "made", data, larger={None: 0.1}, frames=FRAMES, units="mm")
    found = numbers(run(tmp_path / "run", {"data": data, "surfaces": made}, every=4))
    assert found["model", "fscore_1mm"]["value"] == 1.0
    assert np.isclose(found["model", "chamfer_l1"]["value"], 0.012, atol=3e-3)
