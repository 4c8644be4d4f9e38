"""The synthetic head is a sound mesh of the right size, and its controls do what their names say."""

from __future__ import annotations

import numpy as np
import pytest

from stages.preprocess.synthetic.anatomy import EYE, EYE_RADIUS, MOUTH
from stages.preprocess.synthetic.head import Head, neutral_head
from stages.preprocess.synthetic.motion import CONTROLS
from stages.preprocess.synthetic.subjects import SHAPE_SPREAD, Subject, deform, draw_subject


@pytest.fixture(scope="module")
def head() -> Head:
    return neutral_head(5023)


@pytest.fixture(scope="module")
def plain() -> Subject:
    """The neutral shape."""
    return Subject("plain", dict.fromkeys(SHAPE_SPREAD, 0.0), draw_subject(0, 0).manner)


def posed(subject: Subject, **controls: float) -> np.ndarray:
    row = np.array([[controls.get(name, 0.0) for name in CONTROLS]])
    return subject.pose(row)[0].astype(float)


def opening(subject: Subject, points: np.ndarray) -> float:
    """Metres between the middles of the lips."""
    regions = subject.head.regions
    return float(points[regions["lip_upper"], 1].mean() - points[regions["lip_lower"], 1].mean())


def edge_counts(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return directed, np.unique(np.sort(directed, axis=1), axis=0, return_counts=True)[1]


@pytest.mark.parametrize("vertices", [5023, 23370])
def test_the_mesh_is_a_surface_of_exactly_so_many_vertices(vertices: int) -> None:
    head = neutral_head(vertices)
    assert head.points.shape == (vertices, 3)
    assert len(np.unique(head.faces)) == vertices
    directed, counts = edge_counts(head.faces)
    assert counts.max() == 2
    assert len(np.unique(directed, axis=0)) == len(directed), "two neighbours turn in opposite senses"
    corners = head.points[head.faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    assert area.min() > 1e-10


def test_triangles_face_outwards(head: Head) -> None:
    corners = head.points[head.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    skin = head.of("skin")[head.faces].all(axis=1)
    outwards = np.einsum("ij,ij->i", normals, corners.mean(axis=1) - [0, -0.03, -0.02]) > 0
    assert outwards[skin].all()
    for name in ("left ball", "right ball", "left lids", "right lids", "left brow", "upper teeth"):
        assert normals[head.of(name)[head.faces].all(axis=1)][:, 2].mean() > 0, name


def test_left_and_right_are_mirror_images(head: Head) -> None:
    mirrored = head.points * [-1, 1, 1]
    order, turned = (np.lexsort(np.round(p, 7).T) for p in (head.points, mirrored))
    off = np.linalg.norm(head.points[order] - mirrored[turned], axis=1)
    assert np.quantile(off, 0.98) < 1e-6


def test_it_has_the_size_of_a_head_in_metres(head: Head) -> None:
    width, height, depth = np.ptp(head.points, axis=0)
    assert 0.15 < width < 0.20
    assert 0.27 < height < 0.34
    assert 0.18 < depth < 0.23


def test_regions_lie_where_their_names_say(head: Head) -> None:
    points, regions = head.points, head.regions
    assert 200 < len(regions["lips"]) < 700
    assert set(regions["lips"]) < set(regions["mouth"])
    assert np.abs(points[regions["lips"]] - MOUTH).max() < 0.035
    assert points[regions["upper_face"], 1].min() > -0.005
    assert not set(regions["upper_face"]) & set(regions["mouth"])
    assert points[regions["mouth_interior"], 2].max() < MOUTH[2]
    assert set(regions["pupil"]) < set(regions["iris"]) < set(regions["eyes"])
    for side in (-1, 1):
        ball = points[regions["eyes"]][points[regions["eyes"], 0] * side > 0]
        assert np.linalg.norm(ball - EYE * [side, 1, 1], axis=1).max() < EYE_RADIUS + 1e-9
    assert len(regions["lip_upper"]) == len(regions["lip_lower"]) == 3
    np.testing.assert_allclose(points[regions["lip_upper"]].mean(0), points[regions["lip_lower"]].mean(0), atol=2e-4)


def test_the_jaw_opens_the_mouth_and_leaves_the_rest(plain: Subject) -> None:
    moved = posed(plain, jaw=10) - plain.template
    assert 0.010 < opening(plain, posed(plain, jaw=10)) < 0.020
    still = np.concatenate([plain.head.regions[name] for name in ("eyes", "brows", "lids")])
    assert np.abs(moved[still]).max() < 1e-6
    assert np.abs(moved[plain.head.of("upper teeth")]).max() < 1e-6
    assert moved[plain.head.of("lower teeth"), 1].max() < -0.005


def test_lips_are_closed_at_rest_and_when_pressed(plain: Subject) -> None:
    assert abs(opening(plain, plain.template)) < 2e-4
    assert abs(opening(plain, posed(plain, press=1))) < 3e-4


def test_lips_go_wide_and_round(plain: Subject) -> None:
    def width(points: np.ndarray) -> float:
        return float(np.ptp(points[plain.head.regions["lips"], 0]))

    rest = width(plain.template)
    assert width(posed(plain, wide=1)) > rest + 0.006
    assert width(posed(plain, round=1)) < rest - 0.010
    lips = plain.head.regions["lips"]
    assert (posed(plain, round=1) - plain.template)[lips, 2].max() > 0.005
    assert 0.002 < opening(plain, posed(plain, round=1)) < 0.006


def test_a_blink_closes_the_lids_over_the_eyeballs(plain: Subject) -> None:
    head, closed = plain.head, posed(plain, blink=1)
    for name in ("left lids", "right lids"):
        rim = head.of(name) & (head.ring == 0)
        top = rim & (np.sin(head.angle) > 0.3)
        low = rim & (np.sin(head.angle) < -0.3)
        gap = plain.template[top, 1].mean() - plain.template[low, 1].mean()
        assert gap > 0.006
        assert abs(closed[top, 1].mean() - closed[low, 1].mean()) < 0.05 * gap
    moved = np.flatnonzero(np.linalg.norm(closed - plain.template, axis=1) > 1e-6)
    assert not head.of("left ball", "right ball", "mouth", "skin")[moved].any()


def test_half_closed_lids_do_not_let_the_eyeball_through(plain: Subject) -> None:
    for blink in (0.25, 0.5, 0.75, 1.0):
        points = posed(plain, blink=blink)
        lid = plain.head.of("left lids") & (plain.head.ring >= 0)
        assert np.linalg.norm(points[lid] - EYE, axis=1).min() > EYE_RADIUS


def test_brows_rise(plain: Subject) -> None:
    rise = (posed(plain, brow=1) - plain.template)[plain.head.regions["brows"], 1]
    assert rise.min() > 0.001
    assert rise.max() < 0.008


def test_subjects_differ_in_shape_and_share_the_topology() -> None:
    one, two = draw_subject(0, 0), draw_subject(0, 1)
    assert one.head is two.head
    apart = np.linalg.norm(one.template - two.template, axis=1)
    assert 0.002 < apart.mean() < 0.02
    assert one.manner != two.manner
    assert draw_subject(0, 1) == two
    assert draw_subject(1, 1) != two


def test_the_largest_deformations_fold_nothing(head: Head) -> None:
    skin = head.faces[~head.of("mouth")[head.faces].any(axis=1)]

    def normals(points: np.ndarray) -> np.ndarray:
        corners = points[skin]
        return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])

    for sign in (-1, 1):
        shape = {name: sign * spread for name, spread in SHAPE_SPREAD.items()}
        turned = np.einsum("ij,ij->i", normals(head.points), normals(deform(head.points, shape))) <= 0
        assert turned.sum() == 0
