"""The facial weight by hand."""

from __future__ import annotations

import numpy as np
import pytest

from faces.errors import DataError
from faces.implicit.weight import FacialWeight


def test_all_of_it_up_to_the_radius_then_a_gaussian() -> None:
    weight = FacialWeight((0.0, 0.0, 0.0), radius=0.4, sigma=0.15)
    points = np.array([[0, 0, 0], [0, 0.4, 0], [0.55, 0, 0], [0, 0, -0.7]], np.float32)
    found = weight(points)
    np.testing.assert_allclose(found, [1, 1, np.exp(-0.5), np.exp(-2)], rtol=1e-5)
    assert found.dtype == np.float32


def test_the_paper_s_plain_gaussian() -> None:
    weight = FacialWeight(radius=0.0, sigma=0.2)
    np.testing.assert_allclose(weight(np.array([[0, -0.2, 0.21], [0.2, -0.2, 0.21]])), [1, np.exp(-0.5)], rtol=1e-6)


def test_eyes_and_brows_are_kept_and_the_neck_is_not() -> None:
    """Distances from the mouth of the mean head, by the defaults: eye 0.31, brow 0.36, back of the head 0.95."""
    weight = FacialWeight()
    away = np.array([[0, 0.31, 0], [0, 0.36, 0], [0, 0, -0.95]]) + weight.centre
    assert weight(away)[:2].tolist() == [1, 1]
    assert weight(away)[2] < 2e-3


def test_the_mouth_lies_between_the_middle_anchors() -> None:
    anchors = np.zeros((39, 3))
    anchors[34], anchors[35] = (0.1, -0.1, 0.2), (0.1, -0.3, 0.4)
    weight = FacialWeight.of_anchors(anchors, radius=0.1)
    assert weight.centre == pytest.approx((0.1, -0.2, 0.3))
    assert weight.radius == 0.1
    with pytest.raises(DataError, match=r"not in one of shape \(65, 3\)"):
        FacialWeight.of_anchors(np.zeros((65, 3)))


@pytest.mark.parametrize("numbers", [{"radius": -0.1}, {"sigma": 0.0}, {"sigma": float("nan")}])
def test_constants_that_cannot_be(numbers: dict[str, float]) -> None:
    with pytest.raises(DataError, match="must be from 0 on"):
        FacialWeight(**numbers)
