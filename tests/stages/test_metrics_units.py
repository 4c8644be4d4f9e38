"""What numbers are called: millimetres where the unit is a length, a name of its own where none can be had."""

from __future__ import annotations

import pytest

from stages.metrics.units import length_unit


@pytest.mark.parametrize(
    ("units", "shown"),
    [
        ("m", (1000.0, "mm")),
        ("mm", (1.0, "mm")),
        ("nphm", (250.0, "mm")),
        ("unit-area", (1.0, "√area")),
        ("multiface-box", (1.0, "half boxes")),
        ("parsec", (1.0, "parsec")),
    ],
)
def test_lengths(units: str, shown: tuple[float, str]) -> None:
    assert length_unit(units) == shown
