"""What a report looks at where the data set says it, where its topology is known, and where neither is so."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from faces import region_registry
from faces.lip_vertices import BIWI, FLAME, KNOWN, LipVertices
from faces.lips import opening
from faces.metrics_definitions import DEFINITIONS
from faces.metrics_parts import Parts
from faces.ply import read_ply
from faces.region_table import Origin, Published, Topology
from faces.regions import indices_digest, read_region, region_digest
from stages.kinds.predictions import Info as Made
from stages.kinds.predictions import Item, prediction_name
from stages.kinds.predictions import write_index as write_predictions
from stages.kinds.sequences import VERTICES, Entry, Info, Sequences, write_index, write_region
from stages.metrics import Params
from stages.metrics.draw import plots
from stages.metrics.regions import Regions, find_regions
from stages.preprocess.region_files import read_masks
from tests.stages.metrics_runs import csv_rows, numbers, report, run
from tests.stages.tiny import make_sequences

FRAMES = 9


def swinging_mesh(folder: Path, vertices: int, **regions: list[int]) -> Sequences:
    """A data set of a topology, one sequence, in which every vertex swings along y with a phase of its own."""
    (folder / VERTICES).mkdir(parents=True)
    face = np.random.default_rng(0).normal(scale=0.1, size=(vertices, 3)).astype(np.float32)
    motion = np.repeat(face[None], FRAMES, axis=0)
    motion[:, :, 1] += 0.01 * np.sin(np.arange(FRAMES)[:, None] + np.arange(vertices))
    np.save(folder / VERTICES / "A_s01.npy", motion.reshape(FRAMES, -1))
    np.savez(folder / "templates.npz", allow_pickle=False, A=face)
    for name, indices in regions.items():
        write_region(folder, name, indices)
    write_index(folder, Info("m", 25.0, "m", "y", vertices, {}, {"A_s01": Entry("A", "s01", "test", FRAMES, 0, 0)}))
    return Sequences(folder)


def predicted(folder: Path, data: Sequences) -> Path:
    """The truth, late by a frame."""
    name = prediction_name("A_s01", "A")
    (folder / "npy").mkdir(parents=True)
    np.save(folder / "npy" / f"{name}.npy", np.roll(data.vertices("A_s01"), 1, axis=0).reshape(FRAMES, -1))
    write_predictions(folder, Made(25.0, "m", "m", "late", {name: Item("A_s01", "A", "A", "test", FRAMES)}))
    return folder


def found(data: Sequences, **params: str) -> tuple[Regions, Parts]:
    regions = find_regions(data, Params(**params))  # type: ignore[arg-type]
    return regions, regions.parts(data)


def lips_of(mesh: LipVertices) -> list[int]:
    return [*mesh.lower, 7, 8, *mesh.upper]


@pytest.mark.parametrize("mesh", KNOWN, ids=lambda mesh: mesh.topology)
def test_known_topologies_have_a_lip_opening(tmp_path: Path, mesh: LipVertices) -> None:
    data = swinging_mesh(tmp_path / "data", mesh.vertices, lips=lips_of(mesh))
    job = run(tmp_path / "run", data.path, predicted(tmp_path / "p", data))
    record = numbers(job)["model", "opening_error/facepipe"]
    sides = np.array(mesh.upper), np.array(mesh.lower)
    truth = data.vertices("A_s01")
    error = np.abs(opening(truth, *sides) - opening(np.roll(truth, 1, axis=0), *sides)).mean()
    assert record["value"] == pytest.approx(error)
    assert [region["name"] for region in record["region"]] == [
        f"{mesh.topology}'s vertices of the upper lip's middle",
        f"{mesh.topology}'s vertices of the lower lip's middle",
    ]
    assert np.isfinite(numbers(job)["model", "opening_correlation/facepipe"]["value"])
    assert not any("lip opening" in note for note in report(job)["notes"])
    assert ("lip_distance/codetalker" in {metric for _, metric in numbers(job)}) is (mesh is FLAME)


def test_the_opening_is_drawn_on_a_known_topology(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("bars", "boxes"):
        monkeypatch.setattr(plots, name, lambda *_: None)
    for name in ("error_map", "upper_face_map", "step_map"):
        monkeypatch.setattr(f"stages.metrics.maps.{name}", lambda *_: None)
    data = swinging_mesh(tmp_path / "data", BIWI.vertices, lips=lips_of(BIWI))
    job = run(tmp_path / "run", data.path, predicted(tmp_path / "p", data), figures=True)
    assert (job.out / "figures" / "opening_A_s01_condition_A.png").stat().st_size > 1000


@pytest.mark.parametrize("mesh", KNOWN, ids=lambda mesh: mesh.topology)
def test_own_regions_win(tmp_path: Path, mesh: LipVertices) -> None:
    data = swinging_mesh(tmp_path / "data", mesh.vertices, lips=lips_of(mesh), lip_upper=[1, 2], lip_lower=[3])
    regions, parts = found(data)
    assert (parts.lip_upper.tolist(), parts.lip_lower.tolist()) == ([1, 2], [3])
    assert regions.found["lip_upper"].name == "lip_upper"


def test_lips_by_file_tell_the_topology_too(tmp_path: Path) -> None:
    data = swinging_mesh(tmp_path / "data", BIWI.vertices)
    (tmp_path / "lve.txt").write_text(", ".join(map(str, lips_of(BIWI))))
    _, parts = found(data, lips_file=str(tmp_path / "lve.txt"))
    assert parts.lip_upper.tolist() == list(BIWI.upper)


STRANGERS = {
    "as many vertices, other lips": (BIWI.vertices, {"lips": [*BIWI.upper, *BIWI.lower[:2]]}),
    "the lips, other vertices": (BIWI.vertices + 1, {"lips": lips_of(BIWI)}),
    "one part alone": (FLAME.vertices, {"lips": lips_of(FLAME), "lip_upper": [1]}),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_what_is_not_known_gets_the_remedy(tmp_path: Path, name: str) -> None:
    vertices, regions = STRANGERS[name]
    report, parts = found(swinging_mesh(tmp_path / "data", vertices, **regions))
    assert not parts.has("opening")
    (note,) = (note for note in report.notes if note.startswith("no lip opening"))
    assert "give preprocess lip_upper.txt and lip_lower.txt" in note
    assert ("'lip_upper'" in note) is (name != "one part alone")
    assert "'lip_lower'" in note


def test_entries_are_counted_and_vertices_identified(tmp_path: Path) -> None:
    """FLAME's lips hold four vertices twice: the same lip vertex error, another dynamics deviation."""
    twice, once = [5, 3, 4, 3], [3, 4, 5]
    digests = {}
    for name, indices in {"twice": twice, "once": once}.items():
        regions, _ = found(swinging_mesh(tmp_path / name, 12, lips=indices, upper_face=indices))
        for metric in ("lve/codetalker", "mve_upper/facepipe", "fdd/codetalker"):
            (facts,) = regions.facts(DEFINITIONS[metric])
            assert facts["vertices"] == len(indices)
            digests[metric, name] = facts["sha256"]
    same = {metric: digests[metric, "twice"] == digests[metric, "once"] for metric, _ in digests}
    assert same == {"lve/codetalker": True, "mve_upper/facepipe": True, "fdd/codetalker": False}


def test_a_published_set_is_named_where_numbers_are_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sorted, each vertex once: the lip vertex error is the published list's, the dynamics deviation is not."""
    twice, once = np.array([5, 3, 4, 3]), [3, 4, 5]
    digests = indices_digest(twice), region_digest(twice, repeats=True), region_digest(twice)
    lips = Published("toy", "lips", (), 4, 3, *digests, (Origin("masks/lips", "", "", ""),))
    monkeypatch.setattr(region_registry, "published", lambda: (lips,))
    monkeypatch.setattr(region_registry, "topologies", lambda: {"toy": Topology("toy", "Toy", 12, 1, "", ())})
    data = swinging_mesh(tmp_path / "data", 12, lips=once, upper_face=once, own=[1, 2])
    job = run(tmp_path / "run", data.path, predicted(tmp_path / "p", data), definitions=["lve", "fdd"])
    published = {metric: record["region"][0]["published"] for (_, metric), record in numbers(job).items()}
    assert published["lve/codetalker"] == "masks/lips"
    assert published["fdd/codetalker"] == ""
    each = region_digest(twice)
    assert f"LVE over lips {each} (3 entries; masks/lips)" in job.said[-1]
    assert f"FDD over upper_face {each} (3 entries)" in job.said[-1]
    assert {row["lips_region"] for row in csv_rows(job)} == {f"lips {each} (3 entries; masks/lips)"}
    assert found(data, lips="own")[0].caption(DEFINITIONS["lve/codetalker"]).endswith("(2 entries)")
    assert found(data)[0].caption(DEFINITIONS["mve/facediffuser"]) == ""


@pytest.mark.parametrize("form", ["lips.json", "lips.npy", "lips.pkl"])
def test_lips_may_be_a_file_of_any_form(tmp_path: Path, form: str) -> None:
    data = swinging_mesh(tmp_path / "data", 12)
    file = tmp_path / form
    if form.endswith(".npy"):
        np.save(file, np.array([3, 1]))
    else:
        file.write_bytes(json.dumps([3, 1]).encode() if form.endswith(".json") else pickle.dumps([3, 1]))
    regions, _ = found(data, lips_file=str(file))
    assert regions["lips"].tolist() == [3, 1]
    assert regions.found["lips"].name == form


def test_tiny_data_keep_their_own_parts(tmp_path: Path) -> None:
    _, parts = found(Sequences(make_sequences(tmp_path / "tiny")))
    assert (parts.lip_upper.tolist(), parts.lip_lower.tolist()) == ([0, 1, 2], [3, 4, 5])


def assets() -> Path:
    folder = os.environ.get("FACEPIPE_SHARED")
    if not folder or not (Path(folder) / "assets").is_dir():
        pytest.skip("FACEPIPE_SHARED holds no assets")
    return Path(folder) / "assets"


@pytest.mark.parametrize("mesh", KNOWN, ids=lambda mesh: mesh.topology)
def test_they_are_the_middle_of_the_published_meshes_lips(mesh: LipVertices) -> None:
    """Upper above lower, close together, on the lips, and in the middle of their width."""
    folder = assets()
    if mesh is FLAME:
        face = read_ply(folder / "meshes" / "FLAME_sample.ply").vertices
        lips = read_masks(folder / "regions" / "flame" / "FLAME_masks.pkl", len(face))["lips"]
    else:
        face = read_ply(folder / "meshes" / "BIWI.ply").vertices
        lips = read_region(folder / "regions" / "biwi" / "lve.txt")
    assert mesh.on(len(face), [lips])
    upper, lower = (face[list(side)].mean(axis=0) for side in (mesh.upper, mesh.lower))
    low, high = face[lips].min(axis=0), face[lips].max(axis=0)
    assert 0 < upper[1] - lower[1] < 0.1 * (high[0] - low[0])
    assert np.all(np.abs((upper + lower)[0] / 2 - (low + high)[0] / 2) < 0.03 * (high[0] - low[0]))
