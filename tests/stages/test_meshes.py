"""Sentences of codes become meshes of a head model, in the data's units, with an index that says how."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faces.errors import DataError
from faces.mesh_measures import vertex_chamfer
from faces.ply import read_ply
from models.nphm.head import FORWARD
from pipeline.errors import Interrupted
from stages.kinds import predictions
from stages.kinds.head import Head
from stages.kinds.predictions import Info, Item
from stages.kinds.sequences import Sequences
from stages.kinds.surfaces import Surfaces, mesh_file, rest_file
from stages.kinds.tracks import read_tracks
from stages.meshes import Meshes, Params
from tests.stages.fake_job import FakeJob
from tests.stages.small_heads import EXPRESSION, add_codes, make_head
from tests.stages.talking_spheres import make_data

FRAMES = 4
SMALL: dict[str, Any] = {"resolution": 20, "sigma": 0.0}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("heads")
    data = make_data(folder / "data", frames=FRAMES)
    head = make_head(folder / "head", data)
    return {"data": add_codes(data, head, FRAMES), "head": head}


def run(folder: Path, inputs: dict[str, Path], **params: Any) -> FakeJob:
    job = FakeJob.under(folder, inputs)
    Meshes(Params(**SMALL | params)).run(job)
    return job


def predicted(folder: Path, data: Path, *, track: str = "nphm_expression", size: int = EXPRESSION) -> Path:
    """Two samples of a sentence, the sentence's own codes and those of another."""
    rows = read_tracks(data)["nphm_expression"]
    (folder / "npy").mkdir(parents=True)
    items = {}
    for seed, whose in ((4, "B_s1"), (5, "C_s2")):
        name = predictions.prediction_name("B_s1", "A", seed)
        np.save(folder / "npy" / f"{name}.npy", rows[whose][:, :size])
        items[name] = Item("B_s1", "B", "A", "test", FRAMES, seed)
    there = Sequences(data)
    predictions.write_index(folder, Info(there.fps, there.units, "eggs", "facetalk", items, False, track))
    return folder


@pytest.fixture(scope="module")
def made(inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> FakeJob:
    return run(tmp_path_factory.mktemp("made"), inputs)


def test_without_predictions_the_sentences_own_codes_are_made(made: FakeJob, inputs: dict[str, Path]) -> None:
    surfaces, data = Surfaces(made.out), Sequences(inputs["data"])
    assert list(surfaces.items) == [f"{name}_condition_{name[0]}" for name in data.ids("test")]
    assert (surfaces.info.topology, surfaces.info.units, surfaces.info.fps) == ("free", "m", 25.0)
    surfaces.check()
    for mesh in surfaces.frames("B_s1_condition_B"):
        size = np.ptp(mesh.vertices, axis=0)
        assert size.min() > 0.18, "about the ellipsoid, 0.2 by 0.275 by 0.25, in metres"
        assert size.max() < 0.27


def test_the_index_says_what_was_done_and_what_it_took(made: FakeJob) -> None:
    facts = json.loads((made.out / "surfaces.json").read_text())
    assert facts["head"] == {"form": "mono", "moves": "backward", "dataset": "eggs", "scale": 4.0, "shift": [0, 0, 0]}
    assert (facts["choices"]["resolution"], facts["choices"]["identity"]) == (20, "own")
    one = facts["made"]["C_s2_condition_C"]
    assert (one["dense"], one["whole"], len(one["vertices"]), len(one["openness"])) == (
        FRAMES * 8000,
        1,
        FRAMES,
        FRAMES,
    )
    assert one["vertices"][0] < one["asked"] < one["dense"]
    (line,) = made.said
    assert line.startswith("16 frames of ")
    assert "4 searched everywhere" in line
    assert "s a frame" in line


def test_all_samples_give_the_same_meshes(made: FakeJob, inputs: dict[str, Path], tmp_path: Path) -> None:
    dense = Surfaces(run(tmp_path / "dense", inputs, search="dense", refresh=1).out)
    for name in dense.items:
        for ours, all_ in zip(Surfaces(made.out).frames(name), dense.frames(name), strict=True):
            assert len(ours.faces) == len(all_.faces)
            assert vertex_chamfer(ours, all_) < 1e-6


def test_samples_of_a_sentence_are_named_by_their_numbers(
    inputs: dict[str, Path], tmp_path: Path, made: FakeJob
) -> None:
    given = {**inputs, "predictions": predicted(tmp_path / "predictions", inputs["data"])}
    job = run(tmp_path / "run", given)
    surfaces = Surfaces(job.out)
    assert list(surfaces.items) == ["B_s1_condition_A_seed4", "B_s1_condition_A_seed5"]
    assert (surfaces.info.model, surfaces.info.styles) == ("facetalk", False)
    name = "B_s1_condition_A_seed4"
    assert surfaces.info.in_style("facetalk", surfaces.items[name]) == "facetalk, sample 4"
    for number in range(FRAMES):
        same = mesh_file(made.out, "B_s1_condition_B", number).read_bytes()
        assert mesh_file(job.out, name, number).read_bytes() == same


def test_only_so_many_are_made_spread_over_subjects(inputs: dict[str, Path], tmp_path: Path) -> None:
    surfaces = Surfaces(run(tmp_path / "run", inputs, limit=2).out)
    assert list(surfaces.items) == ["B_s1_condition_B", "C_s1_condition_C"]


def test_bfloat16_is_near(inputs: dict[str, Path], tmp_path: Path, made: FakeJob) -> None:
    half = Surfaces(run(tmp_path / "run", inputs, half=True, limit=1).out)
    for near, exact in zip(half.frames("B_s1_condition_B"), Surfaces(made.out).frames("B_s1_condition_B"), strict=True):
        assert 0 < vertex_chamfer(near, exact) < 2e-3


def test_fixed_topology_is_that_of_the_head(inputs: dict[str, Path], tmp_path: Path) -> None:
    job = run(tmp_path / "run", inputs, topology="fixed", low=[], high=[])
    surfaces = Surfaces(job.out)
    assert surfaces.info.topology == "fixed"
    surfaces.check()
    first, other = (read_ply(rest_file(job.out, subject)) for subject in "BC")
    assert not np.array_equal(first.faces, other.faces), "of two heads"
    for name, item in surfaces.items.items():
        rest = first if item.subject == "B" else other
        assert set(surfaces.info.made[name].vertices) == {len(rest.vertices)}
        assert all(np.array_equal(mesh.faces, rest.faces) for mesh in surfaces.frames(name))
    name = "B_s1_condition_B"
    moved = surfaces.frame(name, FRAMES - 1).vertices - surfaces.frame(name, 0).vertices
    assert np.linalg.norm(moved, axis=1).max() > 1e-3
    alone = run(tmp_path / "alone", inputs, topology="fixed", low=[], high=[], limit=1)
    for number in range(FRAMES):
        same = mesh_file(job.out, name, number).read_bytes()
        assert mesh_file(alone.out, name, number).read_bytes() == same, "whatever else is made"


def test_a_mesh_of_another_head_is_told(inputs: dict[str, Path], tmp_path: Path) -> None:
    out = run(tmp_path / "run", inputs, topology="fixed", low=[], high=[]).out
    rest_file(out, "B").write_bytes(rest_file(out, "C").read_bytes())
    with pytest.raises(DataError, match="other triangles than the first frame, or the head at rest"):
        Surfaces(out).check()


def test_a_topology_of_each_sentence_has_no_head_at_rest(inputs: dict[str, Path], tmp_path: Path) -> None:
    job = run(tmp_path / "run", inputs, topology="fixed", low=[], high=[], reference="widest")
    Surfaces(job.out).check()
    assert not (job.out / "rest").exists()
    rest = Sequences(inputs["data"]).templates["B"]
    beyond = np.abs(Surfaces(job.out).frame("B_s1_condition_B", 0).vertices).max() - np.abs(rest).max()
    assert 0 < beyond < 0.02, "the box is about the neutral face, and vertices hardly leave it"


def test_the_throat_is_cut_off_along_the_datas_vertices(inputs: dict[str, Path], tmp_path: Path, made: FakeJob) -> None:
    rest = Sequences(inputs["data"]).templates["B"]
    low = np.flatnonzero(np.isclose(rest[:, 1], np.unique(rest[:, 1].round(4))[2], atol=1e-3))
    around = low[np.argsort(np.arctan2(rest[low, 0], rest[low, 2]))]
    throat = around[[0, len(around) // 3, 2 * len(around) // 3]].tolist()
    shorter = Surfaces(run(tmp_path / "run", inputs, throat=throat, limit=1).out)
    for whole, cut in zip(
        Surfaces(made.out).frames("B_s1_condition_B"), shorter.frames("B_s1_condition_B"), strict=True
    ):
        above = whole.vertices[:, 1] > rest[throat, 1].mean()
        assert np.count_nonzero(~above) > 0
        assert np.allclose(cut.vertices, whole.vertices[above])
    with pytest.raises(DataError, match=r"throat names the vertices 0, 1, 9999, and .* has those from 0 to"):
        run(tmp_path / "other", inputs, throat=[0, 1, 9999])


def test_facial_smoothing_leaves_the_back_of_the_head_alone(inputs: dict[str, Path], tmp_path: Path) -> None:
    surfaces = Surfaces(run(tmp_path / "run", inputs, topology="fixed", sigma=0.05, radius=0.1).out)
    for name in surfaces.items:
        first, *others = (mesh.vertices for mesh in surfaces.frames(name))
        back = first[:, 2] < -0.05
        assert max(np.abs(other - first)[back].max() for other in others) < 1e-4


@pytest.mark.parametrize("identity", ["zero", "1", "file"])
def test_somebody_else_may_speak(inputs: dict[str, Path], tmp_path: Path, made: FakeJob, identity: str) -> None:
    params = {"identity": identity}
    if identity == "file":
        np.save(tmp_path / "code.npy", Head(inputs["head"]).tables.identities[1])
        params = {"identity_file": str(tmp_path / "code.npy")}
    surfaces = Surfaces(run(tmp_path / "run", inputs, **params).out)
    same = surfaces.frame("B_s1_condition_B", 0).vertices
    own = Surfaces(made.out).frame("B_s1_condition_B", 0).vertices
    assert (same.shape == own.shape and np.array_equal(same, own)) == (identity == "zero")
    assert surfaces.info.choices["identity"] == identity
    assert str(tmp_path) not in (surfaces.path / "surfaces.json").read_text()


def test_a_forward_model_has_one_topology(inputs: dict[str, Path], tmp_path: Path) -> None:
    head = make_head(tmp_path / "head", inputs["data"], moves=FORWARD, form="nphm")
    job = run(tmp_path / "run", {"data": inputs["data"], "head": head})
    surfaces = Surfaces(job.out)
    assert surfaces.info.topology == "fixed"
    surfaces.check()
    assert job.said[0].startswith("this head model moves one surface's points")


@pytest.mark.parametrize("topology", ["free", "fixed"])
def test_a_stopped_run_goes_on_in_the_middle_of_a_sentence(
    inputs: dict[str, Path], tmp_path: Path, topology: str
) -> None:
    params = Params(**SMALL, topology=topology, refresh=2)
    straight = FakeJob.under(tmp_path / "straight", inputs)
    Meshes(params).run(straight)
    job = FakeJob.under(tmp_path / "run", inputs, stop_after=6)
    with pytest.raises(Interrupted):
        Meshes(params).run(job)
    assert list(job.done) == ["B_s1_condition_B"]
    begun = job.state / "meshes" / "B_s2_condition_B"
    assert {file.name for file in begun.iterdir()} == {"0.ply", "1.ply", "2.ply", "frames.jsonl"}
    (begun / "2.ply").write_bytes(b"cut")
    job.stop_after = None
    Meshes(params).run(job)
    assert job.said[0] == "B_s2_condition_B: 2 of 4 frames were made by an earlier attempt"
    assert not list((job.state / "meshes").iterdir())
    files = [file.relative_to(straight.out) for file in straight.out.rglob("*") if file.is_file()]
    assert sorted(files) == sorted(file.relative_to(job.out) for file in job.out.rglob("*") if file.is_file())
    for file in files:
        assert (straight.out / file).read_bytes() == (job.out / file).read_bytes(), file


def test_what_does_not_fit_is_told(inputs: dict[str, Path], tmp_path: Path) -> None:
    bare = make_data(tmp_path / "bare", frames=FRAMES)
    with pytest.raises(DataError, match="stage track has made"):
        run(tmp_path / "a", {**inputs, "data": bare})
    other = predicted(tmp_path / "vertices", inputs["data"], track="")
    with pytest.raises(DataError, match="of vertices already: metrics and render take them"):
        run(tmp_path / "b", {**inputs, "predictions": other})
    short = predicted(tmp_path / "short", inputs["data"], size=3)
    with pytest.raises(DataError, match="rows of 3 numbers"):
        run(tmp_path / "c", {**inputs, "predictions": short})
    (Path(add_codes(bare, inputs["head"], FRAMES)) / "identities" / "C.npy").unlink()
    with pytest.raises(DataError, match="no identity code of C, whom the head model does not know"):
        run(tmp_path / "f", {**inputs, "data": bare})
    with pytest.raises(DataError, match="has no identity 'Zoe'; it has own, zero, numbers from 0 to 1"):
        run(tmp_path / "d", inputs, identity="Zoe")
    with pytest.raises(DataError, match="B_s1_condition_B, frame 0: there is no surface in the box"):
        run(tmp_path / "e", inputs, low=[2.0, 2.0, 2.0], high=[3.0, 3.0, 3.0])


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"low": [0.0], "high": [1.0, 1.0, 1.0]}, "three numbers each"),
        ({"low": [0.0, 0.0, 1.0], "high": [1.0, 1.0, 1.0]}, "low must be below high"),
        ({"stride": 6}, "stride = 6 must be a power of two"),
        ({"splits": []}, "splits is empty"),
        ({"throat": [1, 2]}, "throat must name three vertices"),
        ({"throat": [1, 2, 2]}, "throat must name three vertices"),
    ],
)
def test_parameters_that_do_not_fit_are_told_early(params: dict[str, Any], sentence: str) -> None:
    (problem,) = Meshes(Params(**params)).check()
    assert sentence in problem


def test_a_damaged_artifact_is_told(made: FakeJob, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(made.out, tmp_path / "copy"))
    name = "B_s1_condition_B"
    with pytest.raises(DataError, match="no frame 4"):
        Surfaces(copy).frame(name, FRAMES)
    mesh_file(copy, name, 1).write_bytes(mesh_file(copy, name, 1).read_bytes()[:-9])
    with pytest.raises(DataError, match="make it again with meshes"):
        Surfaces(copy).frame(name, 1)
    mesh_file(copy, name, 2).unlink()
    with pytest.raises(DataError, match="make it again with meshes"):
        Surfaces(copy).check()
    shutil.copy(mesh_file(copy, name, 0), mesh_file(copy, name, 3))
    facts = json.loads((copy / "surfaces.json").read_text())
    facts["made"][name]["vertices"][3] = 5
    (copy / "surfaces.json").write_text(json.dumps(facts))
    with pytest.raises(DataError, match="the index says 5 vertices"):
        Surfaces(copy).frame(name, 3)
    facts["topology"] = "loose"
    (copy / "surfaces.json").write_text(json.dumps(facts))
    with pytest.raises(DataError, match="its topology is 'loose'"):
        Surfaces(copy).info  # noqa: B018
