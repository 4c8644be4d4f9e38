"""What the items of meshes, film and geometry hang on: a sentence's own, and what all share; nothing else."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cache.manifest import Manifest
from pipeline.stage import Given, Items
from stages.film import Film
from stages.film import Params as FilmParams
from stages.geometry import Geometry
from stages.geometry import Params as GeometryParams
from stages.kinds.identities import write_identity
from stages.kinds.surfaces import mesh_file
from stages.meshes import Meshes
from stages.meshes import Params as MeshesParams
from tests.stages.small_heads import add_codes, make_head
from tests.stages.surface_runs import make_surfaces
from tests.stages.talking_spheres import make_data

B, C = "B_s1_condition_B", "C_s1_condition_C"


def given(path: Path) -> Given:
    files = {
        str(file.relative_to(path)): (1, hashlib.sha256(file.read_bytes()).hexdigest())
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }
    tops: dict[str, str] = {}
    for name, (_, digest) in files.items():
        top = name.partition("/")[0]
        tops[top] = hashlib.sha256((tops.get(top, "") + digest).encode()).hexdigest()
    return Given(path, tops, lambda: Manifest(files))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_data(tmp_path / "data", frames=4)


@pytest.fixture
def head(tmp_path: Path, data: Path) -> Path:
    made = make_head(tmp_path / "head", data)
    add_codes(data, made, 4)
    return made


@pytest.fixture
def surfaces(tmp_path: Path, data: Path) -> Path:
    return make_surfaces(tmp_path / "surfaces", data, frames=4)


def changed(before: Items, after: Items) -> set[str]:
    assert before.each is not None
    assert after.each is not None
    assert before.shared == after.shared
    return {name for name in before.each if before.each[name] != after.each[name]}


def of_meshes(data: Path, head: Path, source: str = "", **params: Any) -> Items:
    sources = {"identity_file": source} if source else {}
    found = Meshes(MeshesParams(**params)).items({"data": given(data), "head": given(head)}, sources)
    assert found is not None
    return found


def test_meshes_hang_on_a_sentences_codes_and_its_subjects_head(data: Path, head: Path) -> None:
    before = of_meshes(data, head)
    file = data / "tracks/nphm_expression/B_s1.npy"
    np.save(file, np.load(file) + 1)
    assert changed(before, after := of_meshes(data, head)) == {B}
    write_identity(data, "C", np.ones(70, np.float32))
    assert changed(after, last := of_meshes(data, head)) == {C, "C_s2_condition_C"}
    np.save(data / "vertices_npy" / "B_s1.npy", np.zeros((4, 3), np.float32))
    assert changed(last, of_meshes(data, head)) == set(), "the true mesh is nothing to them"


def test_all_meshes_hang_on_the_head_and_the_code_that_speaks(data: Path, head: Path) -> None:
    before = of_meshes(data, head)
    assert of_meshes(data, head, source="b3:a code").shared != before.shared
    assert of_meshes(data, head, limit=1).each == {B: before.each[B]}  # type: ignore[index]
    (head / "model.safetensors").write_bytes(b"other")
    assert of_meshes(data, head).shared != before.shared


def test_a_film_hangs_on_its_meshes_truth_and_sound(data: Path, surfaces: Path) -> None:
    def items() -> Items:
        found = Film(FilmParams(limit=0)).items({"data": given(data), "surfaces": given(surfaces)}, {})
        assert found is not None
        return found

    before = items()
    shutil.copy(mesh_file(surfaces, B, 0), mesh_file(surfaces, B, 2))
    assert changed(before, after := items()) == set(), "equal meshes are equal"
    shutil.copy(mesh_file(surfaces, B, 0), mesh_file(surfaces, B, 1))
    assert changed(after, last := items()) == {B}
    (data / "wav" / "C_s1.wav").write_bytes(b"silence")
    assert changed(last, items()) == {C}


def test_a_measurement_hangs_on_the_truth_that_it_is_held_against(data: Path, surfaces: Path, tmp_path: Path) -> None:
    truth = make_surfaces(tmp_path / "truth", data, frames=4)

    def items(*, other: bool = False) -> Items:
        wired = {"data": given(data), "surfaces": given(surfaces)} | ({"truth": given(truth)} if other else {})
        found = Geometry(GeometryParams()).items(wired, {})
        assert found is not None
        return found

    own, other = items(), items(other=True)
    np.save(data / "vertices_npy" / "B_s1.npy", np.zeros((4, 3), np.float32))
    assert changed(own, own := items()) == {"B_s1"}
    assert changed(other, items(other=True)) == set()
    shutil.copy(mesh_file(truth, C, 0), mesh_file(truth, C, 1))
    assert changed(other, items(other=True)) == {"C_s1"}
    assert changed(own, items()) == set()
