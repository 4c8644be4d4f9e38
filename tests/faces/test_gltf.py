"""glTF with morph targets: positions, weights in time, transforms; nothing is read outside of the file's folder."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faces.errors import DataError
from faces.gltf import read_gltf
from faces.gltf_buffers import Document
from tests.stages.preprocess.own_files import egg, glb, gltf, write_glb

MESH, SHAPES = egg()
WEIGHTS = np.random.default_rng(0).random((7, 3)).astype(np.float32)


def made() -> tuple[dict[str, Any], bytes]:
    return gltf(MESH, SHAPES, WEIGHTS, 30.0)


def expected(weights: np.ndarray) -> np.ndarray:
    return MESH.vertices + np.tensordot(weights, np.stack(list(SHAPES.values())), 1)


def test_positions_triangles_shapes_and_motion(tmp_path: Path) -> None:
    write_glb(tmp_path / "a.glb", MESH, SHAPES, WEIGHTS, 30.0)
    face = read_gltf(tmp_path / "a.glb")
    np.testing.assert_array_equal(face.neutral, MESH.vertices)
    np.testing.assert_array_equal(face.faces, MESH.faces)
    assert list(face.shapes) == list(SHAPES)
    np.testing.assert_array_equal(face.shapes["jawOpen"], SHAPES["jawOpen"])
    assert (face.frames(30.0), face.frames(60.0), round(face.rate or 0, 3)) == (7, 13, 30.0)
    np.testing.assert_allclose(face.motion(np.arange(7) / 30), expected(WEIGHTS), atol=1e-6)
    assert face.notes == ()


def test_between_keys_weights_are_blended_or_held(tmp_path: Path) -> None:
    half = np.array([0.5 / 30])
    write_glb(tmp_path / "a.glb", MESH, SHAPES, WEIGHTS, 30.0)
    blended = expected(WEIGHTS[:2].mean(axis=0, keepdims=True))
    np.testing.assert_allclose(read_gltf(tmp_path / "a.glb").motion(half), blended, atol=1e-6)
    write_glb(tmp_path / "b.glb", MESH, SHAPES, WEIGHTS, 30.0, interpolation="STEP")
    np.testing.assert_allclose(read_gltf(tmp_path / "b.glb").motion(half), expected(WEIGHTS[:1]), atol=1e-6)


def test_the_first_key_is_the_first_frame(tmp_path: Path) -> None:
    """As Blender writes what begins at its frame 1."""
    told, binary = made()
    view = told["bufferViews"][told["animations"][0]["samplers"][0]["input"]]
    times = ((np.arange(7) + 1) / 30).astype("<f4").tobytes()
    start = view["byteOffset"]
    binary = binary[:start] + times + binary[start + len(times) :]
    (tmp_path / "a.glb").write_bytes(glb(told, binary))
    face = read_gltf(tmp_path / "a.glb")
    assert face.frames(30.0) == 7
    np.testing.assert_allclose(face.motion(np.arange(7) / 30), expected(WEIGHTS), atol=1e-6)


def test_nodes_place_their_meshes_and_several_become_one(tmp_path: Path) -> None:
    told, binary = made()
    told["nodes"] = [
        {"children": [1, 2], "translation": [0, 1, 0]},
        {"mesh": 0, "rotation": [0, 0.70710678118, 0, 0.70710678118], "scale": [2, 2, 2]},
        {"mesh": 0, "matrix": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 5, 0, 0, 1]},
    ]
    told["animations"][0]["channels"][0]["target"]["node"] = 1
    told["animations"][0]["channels"].append({"sampler": 0, "target": {"node": 0, "path": "translation"}})
    (tmp_path / "a.glb").write_bytes(glb(told, binary))
    face = read_gltf(tmp_path / "a.glb")
    count = len(MESH.vertices)
    turned = MESH.vertices[:, [2, 1, 0]] * np.float32([2, 2, -2]) + np.float32([0, 1, 0])
    np.testing.assert_allclose(face.neutral[:count], turned, atol=1e-6)
    np.testing.assert_allclose(face.neutral[count:], MESH.vertices + np.float32([5, 1, 0]), atol=1e-6)
    np.testing.assert_array_equal(face.faces[len(MESH.faces) :], MESH.faces + count)
    moved = face.motion(np.array([0.1]))[0] - face.neutral
    assert np.abs(moved[:count]).max() > 0.01
    assert not moved[count:].any()
    assert any("movement of nodes" in note for note in face.notes)


def test_sparse_targets_and_primitives_that_share_vertices(tmp_path: Path) -> None:
    told, binary = made()
    shape = SHAPES["jawOpen"]
    rows = np.flatnonzero(shape.any(axis=1)).astype("<u2")
    start = len(binary)
    extra = rows.tobytes() + b"\0" * (-rows.nbytes % 4)
    binary += extra + shape[rows].tobytes()
    told["bufferViews"] += [
        {"buffer": 0, "byteOffset": start, "byteLength": rows.nbytes},
        {"buffer": 0, "byteOffset": start + len(extra), "byteLength": 12 * len(rows)},
    ]
    views = len(told["bufferViews"])
    told["accessors"][2] = {
        "componentType": 5126, "count": len(shape), "type": "VEC3",
        "sparse": {
            "count": len(rows), "indices": {"bufferView": views - 2, "componentType": 5123},
            "values": {"bufferView": views - 1},
        },
    }  # fmt: skip
    told["buffers"][0]["byteLength"] = len(binary)
    told["meshes"][0]["primitives"] *= 2
    (tmp_path / "a.glb").write_bytes(glb(told, binary))
    face = read_gltf(tmp_path / "a.glb")
    np.testing.assert_array_equal(face.shapes["jawOpen"], shape)
    assert len(face.neutral) == len(MESH.vertices)
    assert len(face.faces) == 2 * len(MESH.faces)


@pytest.mark.parametrize(
    "uri", ["../secret.bin", "/etc/hostname", "file:///etc/hostname", "http://x/y", "link.bin", ""]
)
def test_no_file_outside_the_folder_is_read(tmp_path: Path, uri) -> None:
    told, binary = made()
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.bin").write_bytes(binary)
    (tmp_path / "in" / "link.bin").symlink_to(tmp_path / "secret.bin")
    told["buffers"][0]["uri"] = uri
    (tmp_path / "in" / "a.gltf").write_text(json.dumps(told))
    with pytest.raises(DataError, match="not in its own folder"):
        read_gltf(tmp_path / "in" / "a.gltf")


def change(path: str, value: Any) -> Any:
    *parents, last = path.split(".")

    def bend(told: dict[str, Any]) -> None:
        entry: Any = told
        for step in parents:
            entry = entry[int(step) if step.isdigit() else step]
        entry[int(last) if last.isdigit() else last] = value

    return bend


@pytest.mark.parametrize(
    ("bend", "sentence"),
    [
        (change("accessors.0.count", 10**6), "beyond the end"),
        (change("accessors.0.count", -1), "'count' is -1"),
        (change("accessors.0.bufferView", -1), "names number -1"),
        (change("bufferViews.0.byteOffset", 10**6), "after its buffer"),
        (change("bufferViews.0.byteStride", 4), "beyond the end"),
        (change("buffers.0.byteLength", 10**8), "cut short"),
        (change("accessors.1.type", "VEC3"), "accessor 1 is VEC3"),
        (change("meshes.0.primitives.0.indices", 0), "accessor 0 is VEC3"),
        (change("meshes.0.primitives.0.mode", 1), "something else than triangles"),
        (change("nodes.0.children", [0]), "hangs in two places"),
        (change("nodes.0.scale", [1, 2]), "must be 3 numbers"),
        (change("animations.0.samplers.0.interpolation", "CUBICSPLINE"), "export sampled"),
        (change("animations.0.samplers.0.input", 0), "accessor 0 is VEC3"),
        (change("extensionsRequired", ["KHR_draco_mesh_compression"]), "without compression"),
        (change("asset.version", "1.0"), "glTF version 1.0"),
        (change("scenes.0.nodes", []), "shows no mesh"),
    ],
)
def test_what_cannot_be_followed_is_said(tmp_path: Path, bend, sentence) -> None:
    told, binary = made()
    bend(told)
    (tmp_path / "a.glb").write_bytes(glb(told, binary))
    with pytest.raises(DataError, match=r"a\.glb cannot be read as glTF") as error:
        read_gltf(tmp_path / "a.glb")
    assert sentence in str(error.value)


def test_a_pointer_and_a_torn_file_are_named(tmp_path: Path) -> None:
    whole = glb(*made())
    (tmp_path / "a.glb").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    (tmp_path / "b.glb").write_bytes(whole[:-100])
    with pytest.raises(DataError, match="git-LFS pointer"):
        read_gltf(tmp_path / "a.glb")
    with pytest.raises(DataError, match="cut short"):
        read_gltf(tmp_path / "b.glb")
    with pytest.raises(DataError, match="No such file"):
        read_gltf(tmp_path / "c.glb")


def spoilt(told: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """One value somewhere replaced by another kind of thing."""
    told = copy.deepcopy(told)
    entry: Any = told
    while True:
        keys = list(entry) if isinstance(entry, dict) else list(range(len(entry)))
        key = chance.choice(keys)
        inner = entry[key]
        if isinstance(inner, dict | list) and inner and chance.random() < 0.85:
            entry = inner
            continue
        entry[key] = chance.choice(
            [None, -1, 0, 1, 2, 7, 10**9, 2**40, 0.5, "x", "VEC3", [], {}, True, [0], [[]], 1e38]
        )
        return told


def test_spoilt_files_are_read_or_refused(tmp_path: Path) -> None:
    told, binary = made()
    whole, chance = glb(told, binary), random.Random(1)
    refused = 0
    for _ in range(400):
        content = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            content[chance.randrange(len(content) if chance.random() < 0.2 else 3000)] = chance.randrange(256)
        for bad in (bytes(content), glb(spoilt(told, chance), binary)):
            (tmp_path / "a.glb").write_bytes(bad)
            try:
                face = read_gltf(tmp_path / "a.glb")
                with np.errstate(all="ignore"):
                    face.motion(np.zeros(1))
            except DataError:
                refused += 1
    assert 200 < refused < 800


def test_a_face_without_shapes_stays_as_it_is(tmp_path: Path) -> None:
    told, binary = made()
    del told["meshes"][0]["primitives"][0]["targets"], told["animations"]
    (tmp_path / "a.glb").write_bytes(glb(told, binary))
    face = read_gltf(tmp_path / "a.glb")
    assert (face.frames(30.0), face.motion(np.zeros(0)).shape) == (0, (0, *MESH.vertices.shape))
    np.testing.assert_array_equal(face.motion(np.zeros(2)), np.stack([MESH.vertices] * 2))


def test_a_small_file_does_not_fill_the_memory(tmp_path: Path) -> None:
    """By one mesh shown ten thousand times, or by shapes that are all one accessor of zeros."""
    told, binary = made()
    shown = told | {"nodes": [{"mesh": 0}] * 10_000, "scenes": [{"nodes": list(range(10_000))}]}
    zeros = copy.deepcopy(told)
    zeros["accessors"] += [{"componentType": 5126, "count": 10**6, "type": "VEC3"}]
    last = {"POSITION": len(zeros["accessors"]) - 1}
    zeros["meshes"][0]["primitives"][0] |= {"attributes": last, "targets": [last] * 100}
    for each in (shown, zeros):
        (tmp_path / "a.glb").write_bytes(glb(each, binary))
        with pytest.raises(DataError, match=r"its meshes take .* bytes and its buffers have"):
            read_gltf(tmp_path / "a.glb")


def test_a_file_that_many_buffers_name_is_held_once(tmp_path: Path) -> None:
    told, binary = made()
    (tmp_path / "a.bin").write_bytes(binary)
    told["buffers"] = [{"uri": "a.bin", "byteLength": len(binary)}] * 3
    document = Document(tmp_path / "a.gltf", json.dumps(told).encode())
    assert len({id(content) for content in document._buffers}) == 1


def test_an_error_is_a_sentence_whatever_the_file_says(tmp_path: Path) -> None:
    told, binary = made()
    told["extensionsRequired"] = ["long\n" * 9000]
    (tmp_path / "a.glb").write_bytes(glb(told, binary))
    with pytest.raises(DataError) as caught:
        read_gltf(tmp_path / "a.glb")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
