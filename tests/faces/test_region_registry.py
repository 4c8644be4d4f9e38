"""The table of published regions: what it says of itself, what is told by it, and whether it is true of the files."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from faces import region_registry as registry
from faces import region_table
from faces.ply import read_ply
from faces.region_registry import Match, identify, remarks
from faces.region_table import Origin, Published, Topology, published, topologies
from faces.regions import indices_digest, read_region, read_regions, region_digest
from tests.assets import asset, needs_assets

MESH = np.array([[0, 1, 2], [1, 2, 3], [2, 3, 4]])
LIPS, UPPER, WIDE = [2, 1, 2], [3, 4], [0, 1, 2]


def made(id: str, indices: list[int], region: str, *names: str, topology: str = "toy") -> Published:
    array = np.array(indices)
    digests = indices_digest(array), region_digest(array, repeats=True), region_digest(array)
    return Published(topology, region, names, len(array), len(set(indices)), *digests, (Origin(id, "", "", ""),))


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of three sets for a mesh of five vertices, and one for a mesh of six."""
    meshes = {
        "toy": Topology("toy", "Toy", 5, 3, registry.triangles_digest(MESH), ()),
        "more": Topology("more", "More", 6, 3, registry.triangles_digest(MESH), ()),
    }
    sets = (
        made("masks/lips", LIPS, "lips", "lips"),
        made("paper/upper", UPPER, "upper_face", "fdd"),
        made("paper/lips", WIDE, "lips", "lve"),
        made("far/lips", [5, 4], "lips", "lips", topology="more"),
    )
    for module in (registry, region_table):
        monkeypatch.setattr(module, "topologies", lambda: meshes)
        monkeypatch.setattr(module, "published", lambda: sets)


def test_the_table_is_consistent() -> None:
    ids = [name for one in published() for name in one.ids]
    assert len(set(ids)) == len(ids)
    assert {one.topology for one in published()} == set(topologies())
    for one in published():
        assert 0 < one.unique <= one.entries
        assert (one.sorted == one.distinct) is (one.unique == one.entries)
        assert one.unique <= topologies()[one.topology].vertices
        for digest in (one.as_published, one.sorted, one.distinct):
            assert re.fullmatch("[0-9a-f]{12}", digest)
        for origin in one.origins:
            assert re.fullmatch(r"[a-z-]+/[\w-]+", origin.id)
            assert origin.source
            assert origin.licence
            assert Path(origin.file).suffix in region_table.ENDINGS
    exact = [(one.topology, one.as_published) for one in published()]
    assert len(set(exact)) == len(exact), "two sets are one list: make them origins of one"
    claims = [(one.topology, name) for one in published() for name in one.names]
    assert len(set(claims)) == len(claims)


def test_no_indices_are_stored() -> None:
    """They are their owners'."""
    assert not re.search(r"\d+\s*,\s*\d+\s*,", region_table.FILE.read_text().replace("1,196", "").replace("15,069", ""))


def test_every_name_of_a_list_finds_it() -> None:
    for name in ("talkingstyle/mead-lips", "talkingstyle/flame-lips"):
        one = registry.lookup(name)
        assert one is not None
        assert one.id == "talkingstyle/flame-lips"
    assert registry.lookup("talkingstyle/nose") is None


@pytest.mark.parametrize(
    ("indices", "id", "match", "over_each", "over_entries"),
    [
        (LIPS, "masks/lips", Match.EXACT, "masks/lips", "masks/lips"),
        ([1, 2, 2], "masks/lips", Match.REORDERED, "masks/lips", "masks/lips"),
        ([1, 2], "masks/lips", Match.REPEATED, "masks/lips", ""),
        ([1, 1, 2], "masks/lips", Match.REPEATED, "masks/lips", ""),
        ([1, 3], None, Match.NONE, "", ""),
        ([5, 4], None, Match.NONE, "", ""),
    ],
)
def test_indices_are_recognised(toy, indices, id, match, over_each, over_entries) -> None:
    found = identify(np.array(indices), 5)
    assert (found.set and found.set.id, found.match) == (id, match)
    assert (found.entries, found.unique) == (len(indices), len(set(indices)))
    assert (found.id(repeats=False), found.id(repeats=True)) == (over_each, over_entries)


def told(faces: np.ndarray = MESH, vertices: int = 5, **regions: list[int]) -> list[str]:
    return list(remarks({name: np.array(indices) for name, indices in regions.items()}, vertices, faces))


def test_copies_are_told_by_their_sets(toy) -> None:
    assert told(lips=LIPS, upper_face=UPPER, wide=WIDE) == [
        "regions as published: lips of masks; upper_face = paper/upper; wide = paper/lips"
    ]


def test_what_is_not_as_published_is_warned_of(toy) -> None:
    (reordered,) = told(lips=[1, 2, 2])
    assert reordered.startswith("warning: lips holds the 3 entries, 2 different of masks/lips in another order")
    (shorter,) = told(lips=[2, 1])
    assert shorter.startswith(
        "warning: lips holds the vertices of masks/lips, but 2 entries, where 3 entries, 2 different are published"
    )
    assert told(lips=[1, 3]) == [
        "warning: lips differs from every published set: 2 entries; published for Toy are "
        "masks/lips (3 entries, 2 different), paper/lips (3 entries)"
    ]
    assert told(fdd=WIDE)[1:] == [
        "warning: fdd holds paper/lips, lips as published; published for Toy are paper/upper (2 entries)"
    ]


def test_another_paper_s_lips_are_lips(toy) -> None:
    assert told(lips=WIDE) == ["regions as published: lips of paper"]


def test_own_regions_are_no_fault(toy) -> None:
    assert told(mine=[1], cheek=[3, 3]) == [
        "regions that are no published set: mine (1 entry), cheek (2 entries, 1 different)"
    ]


def test_lists_for_another_mesh_are_named(toy) -> None:
    assert told(lips=[5, 4], nose=[1], vertices=7) == [
        "warning: lists for other meshes than this, of 7 vertices: lips of far"
    ]


def test_a_mesh_of_the_same_size_makes_no_claim(toy) -> None:
    other = np.array([[0, 1, 2], [1, 2, 3], [0, 3, 4]])
    assert registry.topology_of(5, other) is None
    assert told(other, lips=[1, 3], mine=[1]) == []
    assert told(other, lips=LIPS) == ["regions as published: lips of masks"]


def test_a_topology_is_known_whatever_its_order(toy) -> None:
    turned = MESH[::-1, [1, 2, 0]]
    found = registry.topology_of(5, turned)
    assert found is not None
    assert found.name == "toy"
    assert registry.topology_of(6, MESH) == replace(found, name="more", title="More", vertices=6)
    assert registry.topology_of(7, MESH) is None


FILES = {
    "flame-masks": "flame/FLAME_masks.pkl",
    "facediffuser/flame-lips": "flame/facediffuser_lve.txt",
    "facediffuser/flame-upper": "flame/facediffuser_fdd.txt",
    "facediffuser/flame-neck": "flame/facediffuser_neck.txt",
    "talkingstyle/flame-lips": "flame/talkingstyle_lip.txt",
    "talkingstyle/mead-lips": "mead/talkingstyle_lip.txt",
    "codetalker/biwi-lips": "biwi/lve.txt",
    "selftalk/biwi-lips": "biwi/BIWI_lip.pkl",
    "codetalker/biwi-upper": "biwi/fdd.txt",
}
MESHES = {"flame": "FLAME_sample.ply", "biwi": "BIWI.ply"}


@needs_assets
@pytest.mark.parametrize("one", published(), ids=lambda one: one.id)
def test_the_table_is_true_of_the_files(one: Published) -> None:
    folder, checked = asset("regions"), 0
    for name in one.ids:
        if name in FILES:
            indices = read_region(folder / FILES[name])
        elif name.startswith("flame-masks/"):
            indices = read_regions(folder / FILES["flame-masks"])[one.region]
        else:
            continue
        found = identify(indices, topologies()[one.topology].vertices)
        assert (found.set, found.match) == (one, Match.EXACT)
        assert (found.entries, found.unique) == (one.entries, one.unique)
        assert (region_digest(indices), region_digest(indices, repeats=True)) == (one.distinct, one.sorted)
        checked += 1
    assert checked


@needs_assets
def test_every_mask_is_in_the_table() -> None:
    masks = read_regions(asset("regions") / FILES["flame-masks"])
    assert {f"flame-masks/{name}" for name in masks} == {
        one.id for one in published() if one.id.startswith("flame-masks/")
    }


@needs_assets
@pytest.mark.parametrize("name", MESHES)
def test_the_meshes_are_known(name: str) -> None:
    mesh = read_ply(asset("meshes") / MESHES[name])
    assert registry.topology_of(len(mesh.vertices), mesh.faces) == topologies()[name]


@needs_assets
def test_talkingstyle_s_entries_are_corners_of_triangles() -> None:
    """Vertex indices, then, and no places among coordinates: as such they would miss the lips altogether."""
    folder = asset("")
    entries = read_region(folder / "regions" / FILES["talkingstyle/flame-lips"])
    mesh = read_ply(folder / "meshes" / MESHES["flame"])
    lips = read_regions(folder / "regions" / FILES["flame-masks"])["lips"]
    triangles = {tuple(corners) for corners in np.sort(mesh.faces, axis=1).tolist()}
    assert all(tuple(corners) in triangles for corners in np.sort(entries.reshape(-1, 3), axis=1).tolist())
    assert np.isin(lips, entries).all()
    assert not np.isin(lips, entries // 3).any()
