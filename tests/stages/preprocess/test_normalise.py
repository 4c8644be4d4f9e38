"""Heads in one place and of one size: areas, both rules, and the published mesh itself where it is at hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from faces.errors import DataError
from faces.ply import read_ply
from faces.regions import read_region
from stages.preprocess.biwi.normalise import Place, all_alike, each_by_itself, round_to
from tests.faces.shapes import sphere
from tests.stages.preprocess.biwi_files import POINTS, TRIANGLES, published

SHARED = os.environ.get("FACEPIPE_SHARED", "")


def test_areas_are_those_of_the_triangles() -> None:
    cube = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    triangles = np.array([corners for a, b, c, d in sides for corners in ((a, b, c), (a, c, d))])
    for head, expected in ((cube, 6), (2 * cube, 24), (cube - 9, 6)):
        place = Place.of(head, triangles, "here")
        assert place.scale**2 == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(place.centre, head.mean(axis=0), rtol=1e-12)
        np.testing.assert_array_equal(place.extent, np.ptp(head, axis=0))
    ball = sphere(64, radius=3.0)
    assert Place.of(ball.vertices, ball.faces, "here").scale ** 2 == pytest.approx(36 * np.pi, rel=5e-3)


@pytest.mark.parametrize("frames", [1, 7])
def test_each_by_itself_is_the_published_rule(frames: int) -> None:
    rng = np.random.default_rng(frames)
    heads = (rng.uniform(50, 200, (frames, 1, 1)) * (POINTS + 0.1 * rng.standard_normal((frames, 6, 3)))).astype("f4")
    expected = np.stack([published(head) for head in heads])
    found = each_by_itself(heads, TRIANGLES, "here")
    assert found is heads
    np.testing.assert_allclose(found, expected, atol=1e-7)
    assert all(Place.of(head, TRIANGLES, "here").is_normalised() for head in found)


def test_by_a_template_distances_keep_their_proportions() -> None:
    rng = np.random.default_rng(0)
    template, heads = 80 * POINTS + 5, (90 * POINTS + rng.standard_normal((6, 6, 3))).astype(np.float32)
    place = Place.of(template, TRIANGLES, "here")
    found = all_alike(heads.copy(), place, "template", "here")
    np.testing.assert_allclose(found[0] - found[3], (heads[0] - heads[3]) * [1, -1, -1] / place.scale, atol=1e-6)
    alone = all_alike(template[None].astype("f4"), place, "template", "here")[0]
    np.testing.assert_allclose(alone, published(template), atol=1e-7)


def test_by_extents_each_axis_has_its_own_size_and_nothing_is_turned() -> None:
    rng = np.random.default_rng(0)
    template = [80, 40, 20] * POINTS + [5, 40, 1300]
    heads = (template + rng.standard_normal((6, 6, 3))).astype(np.float32)
    place = Place.of(template, TRIANGLES, "here")
    expected = (heads - template.mean(axis=0)) / (template.max(axis=0) - template.min(axis=0))
    np.testing.assert_allclose(all_alike(heads.copy(), place, "extent", "here"), expected, atol=1e-6)
    moved = Place.of(all_alike(template[None].copy(), place, "extent", "here")[0], TRIANGLES, "here")
    assert moved.is_normalised("extent")
    assert not moved.is_normalised()
    with pytest.raises(DataError, match=r"F1\.obj is flat and has no size along every axis"):
        Place.of(template * [1, 1, 0], TRIANGLES, "F1.obj").factor("extent", "F1.obj")


def test_significant_digits_are_those_that_text_keeps() -> None:
    rng = np.random.default_rng(0)
    heads = (rng.standard_normal((3, 50, 3)) * 10.0 ** rng.integers(-4, 5, (3, 50, 3))).astype(np.float32)
    heads[0, 0] = 0, 123456, -0.00012345678
    expected = np.array([float(f"{value:.5g}") for value in heads.ravel()], np.float32).reshape(heads.shape)
    round_to(heads, 5)
    np.testing.assert_array_equal(heads, expected)


def test_what_has_no_area_is_refused() -> None:
    with pytest.raises(DataError, match="F1/e01 has a frame without area"):
        each_by_itself(np.ones((2, 6, 3), np.float32), TRIANGLES, "F1/e01")
    with pytest.raises(DataError, match=r"F1\.obj has no area"):
        Place.of(np.ones((6, 3)), TRIANGLES, "F1.obj")


@pytest.mark.skipif(not SHARED, reason="FACEPIPE_SHARED names no folder with the published mesh")
def test_the_published_mesh_and_regions_are_as_we_make_them() -> None:
    assets = Path(SHARED) / "assets"
    mesh = read_ply(assets / "meshes" / "BIWI.ply")
    assert (mesh.vertices.shape, mesh.faces.shape) == ((23370, 3), (46068, 3))
    assert Place.of(mesh.vertices, mesh.faces, "BIWI.ply").is_normalised()
    scanned = (mesh.vertices * [300, -300, -300] + [2, 40, 1300]).astype(np.float32)
    np.testing.assert_allclose(each_by_itself(scanned[None], mesh.faces, "here")[0], mesh.vertices, atol=1e-6)
    lips, upper_face = (read_region(assets / "regions" / "biwi" / f"{name}.txt", 23370) for name in ("lve", "fdd"))
    assert (len(lips), len(upper_face)) == (4996, 7784)
    assert mesh.vertices[lips, 1].mean() < mesh.vertices[upper_face, 1].mean() - 0.3  # y is up
