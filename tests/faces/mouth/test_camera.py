"""The mouth's cameras: published numbers, and a fitted one in any units."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from faces.errors import DataError
from faces.mesh import read_mesh
from faces.mouth.camera import BIWI, LIP_WIDTH, VOCASET, MouthCamera
from faces.mouth.renderer import MouthRenderer
from faces.regions import read_regions
from tests.assets import asset, needs_assets
from tests.faces.mouth.scenes import faces_of_talker, opening_mouth, talker
from tests.threads import one_thread

__all__ = ["one_thread"]


def box_in_window(camera: MouthCamera, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Left top and right bottom corner, in pixels of the window."""
    window = camera.window
    placed = camera.project(torch.from_numpy(points)).numpy()[:, :2] - [window.left, window.top]
    return placed.min(axis=0), placed.max(axis=0)


def test_pixel_centres_are_where_they_are_published() -> None:
    # x = ((2c + 1) / 224 - 1) / s, y = (1 - (2r + 1) / 224) / s
    for camera, first in ((VOCASET, 67), (BIWI, 72)):
        row, column = 111 + 5, first + 9
        x, y = ((2 * column + 1) / 224 - 1) / camera.scale, (1 - (2 * row + 1) / 224) / camera.scale
        placed = camera.project(torch.tensor([x, y, 0.01], dtype=torch.float64))
        window = camera.window
        assert placed.tolist() == pytest.approx([window.left + 9.5, window.top + 5.5, 0.01 * camera.scale])
        assert (window.width, window.height) == (88, 88)


def test_lips_are_in_the_middle_and_as_wide_as_vocaset_s() -> None:
    template, lips = talker().template, talker().head.regions["lips"]
    low, high = box_in_window(MouthCamera.fit(template, lips), template[lips])
    assert high[0] - low[0] == pytest.approx(LIP_WIDTH)
    assert (low + high) / 2 == pytest.approx([44, 44])


@pytest.mark.parametrize("unit", [1000.0, 0.01])
def test_units_and_place_change_nothing(unit: float) -> None:
    template, lips = talker().template, talker().head.regions["lips"]
    faces, place = faces_of_talker(), np.array([3.0, -2.0, 40.0]) * unit
    expected = MouthRenderer(faces, MouthCamera.fit(template, lips))(opening_mouth(2).double())
    camera = MouthCamera.fit(template * unit + place, lips)
    found = MouthRenderer(faces, camera)(opening_mouth(2).double() * unit + torch.from_numpy(place))
    # Float32 decides what is seen, and forty metres off it is coarse: a few pixels change hands.
    assert ((found - expected).abs() > 1e-6).float().mean() < 0.01


@needs_assets
def test_flame_is_seen_as_published() -> None:
    mesh = read_mesh(asset("meshes/FLAME_sample.ply"), dtype=np.float64)
    lips = read_regions(asset("regions/flame/FLAME_masks.pkl"))["lips"]
    camera = MouthCamera.fit(mesh.vertices, lips)
    assert camera.scale == pytest.approx(VOCASET.scale, rel=1e-3)
    (low, high), (fitted_low, fitted_high) = (box_in_window(each, mesh.vertices[lips]) for each in (VOCASET, camera))
    assert high - low == pytest.approx(fitted_high - fitted_low, rel=1e-3)
    assert np.abs((low + high) / 2 - (fitted_low + fitted_high) / 2).max() < 4


def test_the_normalisation_is_the_caller_s() -> None:
    template, lips = talker().template, talker().head.regions["lips"]
    assert MouthCamera.fit(template, lips).std == 0.4
    assert MouthCamera.fit(template, lips, std=0.165).std == 0.165


def test_what_cannot_be_fitted_is_refused() -> None:
    template = talker().template
    broken = template.copy()
    broken[7] = np.nan
    for lips, mesh, said in (
        (np.array([5023]), template, "name vertex 5023 of a mesh of 5023"),
        (np.array([-1, 3]), template, "name vertex -1"),
        (np.array([3]), template, "no width"),
        (np.array([], np.int64), template, "there must be some"),
        (np.array([1.0, 2.0]), template, "whole numbers"),
        (np.array([6, 7]), broken, "NaN or infinity"),
        (np.array([6, 7]), template.ravel(), r"\(V, 3\)"),
    ):
        with pytest.raises(DataError, match=said):
            MouthCamera.fit(mesh, lips)


def test_numbers_that_make_no_camera_are_refused() -> None:
    for wrong in ({"scale": 0.0}, {"scale": float("nan")}, {"std": -1.0}, {"picture": 0}):
        with pytest.raises(DataError, match=f"{next(iter(wrong))} is .*; it must be above 0"):
            MouthCamera(**({"scale": 1.0} | wrong))
    with pytest.raises(DataError, match=r"columns 67 … 300 are no part of a picture of 224"):
        MouthCamera(1.0, columns=(67, 300))
