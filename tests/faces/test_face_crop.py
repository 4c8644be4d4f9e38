"""Where chin and bridge of a nose are, whatever the units and axes, and what the picture then shows."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from faces.camera import UP_AXES
from faces.errors import DataError
from faces.face_crop import FaceCrop, Lips, upright
from faces.ply import read_ply
from faces.raster.look import Look
from faces.regions import read_region
from faces.renderer import SoftRenderer
from stages.preprocess.synthetic.head import neutral_head
from tests.assets import asset, needs_assets

HEAD = neutral_head()
REST = HEAD.points.astype(np.float32)
LIPS = HEAD.regions["lips"]
SIDE = 224


def rows_and_columns(vertices: np.ndarray, faces: np.ndarray, lips: np.ndarray) -> dict[str, float]:
    """Where in the picture mouth, lowest point of the chin and sides of the face are."""
    crop = FaceCrop.of(vertices, Lips.of(vertices, lips))
    picture = SoftRenderer(faces, crop.camera(SIDE, "y"), Look(supersample=1)).render(vertices)
    seen = picture.max(axis=2) > 0
    mouth = crop.camera(SIDE, "y").project(vertices[lips])
    cheeks = np.flatnonzero(seen[90])
    return {
        "mouth": float((mouth[:, 1].min() + mouth[:, 1].max()) / 2),
        "wide": float(np.ptp(mouth[:, 0])),
        "left": float(cheeks[0]),
        "right": float(SIDE - 1 - cheeks[-1]),
        "covered": float(seen.mean()),
    }


def is_as_a_detector_would_cut_it(found: dict[str, float]) -> bool:
    """The mouth a bit below the middle of 5/7 of the height, as wide as a quarter, nothing cut off at the sides."""
    beside = min(found["left"], found["right"])
    return 100 < found["mouth"] < 140 and 40 < found["wide"] < 90 and beside > 10 and found["covered"] > 0.3


def test_a_synthetic_head() -> None:
    vertices = REST
    assert is_as_a_detector_would_cut_it(rows_and_columns(vertices, HEAD.faces, LIPS))
    crop = FaceCrop.of(vertices, Lips.of(vertices, LIPS))
    assert 0.18 < crop.side < 0.25, "metres"
    chin = np.array([[0.0, crop.middle[1] + crop.side / 2 - crop.side / 1.4, crop.middle[2]]])
    row = crop.camera(SIDE, "y").project(chin)[0, 1]
    assert row == pytest.approx(160, abs=0.1), "the box is 5/7 of the square"
    ahead = np.abs(vertices[:, 0]) < 0.01
    front = vertices[ahead & (vertices[:, 2] > crop.middle[2] - 0.02)]
    assert abs(front[:, 1].min() - chin[0, 1]) < 0.012


@pytest.mark.parametrize("up", UP_AXES)
def test_units_and_axes_make_no_difference(up: str) -> None:
    rotation = np.array(UP_AXES[up], np.float64)
    turned = (1000 * REST.astype(np.float64)) @ rotation + [7.0, -3.0, 11.0]
    there = upright(turned, up)
    camera = FaceCrop.of(there, Lips.of(there, LIPS)).camera(64, up)
    plain = FaceCrop.of(REST, Lips.of(REST, LIPS)).camera(64, "y")
    np.testing.assert_allclose(camera.project(turned)[:, :2], plain.project(REST)[:, :2], atol=2e-3)
    one, other = SoftRenderer(HEAD.faces, camera), SoftRenderer(HEAD.faces, plain)
    apart = np.abs(one.render(turned).astype(int) - other.render(REST))
    assert apart.mean() < 0.5


def test_the_camera_goes_where_the_head_is() -> None:
    crop = FaceCrop.of(REST, Lips.of(REST, LIPS))
    moved = np.array([0.03, -0.02, 0.05])
    np.testing.assert_allclose(
        crop.camera(64, "y", moved).project(REST + moved)[:, :2],
        crop.camera(64, "y").project(REST)[:, :2],
        atol=1e-3,
    )


def test_the_square_fills_the_picture() -> None:
    crop = FaceCrop.of(REST, Lips.of(REST, LIPS))
    half = crop.side / 2
    corners = np.array([[-half, half, 0], [half, -half, 0]]) + crop.middle
    np.testing.assert_allclose(crop.camera(SIDE, "y").project(corners)[:, :2], [[0, 0], [SIDE, SIDE]], atol=1e-2)


def test_what_is_no_face() -> None:
    with pytest.raises(DataError, match="the lips have no width"):
        Lips.of(REST, LIPS[:1])
    with pytest.raises(DataError, match="no chin below the lips: see that the region 'lips' is of this topology"):
        FaceCrop.of(REST[REST[:, 1] > 0], Lips((0.0, -0.054, 0.07), 0.05))
    with pytest.raises(DataError, match="no nose above the lips"):
        FaceCrop.of(REST[REST[:, 1] < -0.054], Lips((0.0, -0.054, 0.07), 0.05))
    with pytest.raises(DataError, match="the data have 'x' pointing up"):
        upright(REST, "x")


@needs_assets
@pytest.mark.parametrize("name", ["FLAME_sample", "BIWI"])
def test_heads_of_others(name: str) -> None:
    """FLAME by its mask and by FaceDiffuser's wider lips; BIWI, a mask of a face without ears or neck."""
    mesh = read_ply(asset(f"meshes/{name}.ply"))
    if name == "BIWI":
        regions = [read_region(asset("regions/biwi/lve.txt"))]
    else:
        masks = pickle.loads(Path(asset("regions/flame/FLAME_masks.pkl")).read_bytes(), encoding="latin1")
        regions = [np.array(masks["lips"]), read_region(asset("regions/flame/facediffuser_lve.txt"))]
    for lips in regions:
        assert is_as_a_detector_would_cut_it(rows_and_columns(mesh.vertices, mesh.faces, lips))
