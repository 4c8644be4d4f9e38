from __future__ import annotations

import numpy as np
import pytest

from faces.errors import DataError
from faces.heatmap import HeatScale, colour_table, nice_end
from faces.raster.look import to_bytes, to_linear

LUMINANCE = [0.2126, 0.7152, 0.0722]


def test_colours_get_darker_evenly_and_stay_in_range() -> None:
    table = colour_table()
    assert table.min() >= 0
    assert table.max() <= 1
    lightness = np.cbrt(table @ LUMINANCE)
    assert (np.diff(lightness) < 0).all()
    assert np.diff(lightness).min() > 3 * np.diff(lightness).mean()


def test_scale_ends_and_overflows() -> None:
    scale = HeatScale(5.0, "mm")
    colours = scale.colours(np.array([0.0, 5.0, 50.0, 2.5]))
    table = colour_table()
    np.testing.assert_array_equal(colours, table[[0, 255, 255, 128]])
    assert scale.end == "5 mm"
    bar = scale.bar(64, 3)
    assert bar.shape == (3, 64, 3)
    np.testing.assert_array_equal(bar[0, [0, -1]], to_bytes(table[[0, -1]]))


@pytest.mark.parametrize("high", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_must_end_above_zero(high: float) -> None:
    with pytest.raises(DataError, match="must end above zero"):
        HeatScale(high, "mm")


@pytest.mark.parametrize(
    ("value", "end"), [(0.0021, 0.003), (1.0, 1.0), (1.01, 1.5), (3.2, 4.0), (8.5, 10.0), (51, 60)]
)
def test_nice_ends(value: float, end: float) -> None:
    assert nice_end(value) == end


def test_bytes_and_linear_are_inverse() -> None:
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_bytes(to_linear(levels)), levels)
