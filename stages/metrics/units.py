"""How numbers are named and read: the unit that follows from data and definition, millimetres where that is metric."""

from __future__ import annotations

import math

from faces.metrics_definitions import Definition

MM_PER_M = 1000.0
UNIT_NAMES = {"unit-area": "√area", "template-area": "√template area", "template-extents": "template extents"}
"""BIWI's meshes are scaled to unit surface area, each frame's own or their template's: the unit of length is the root
of that area, not a millimetre. Or each axis to its template's extent: the unit is another along each."""
POWERS = {1: "", 2: "²"}


def length_unit(units: str) -> tuple[float, str]:
    """The factor and the name of the unit in which lengths are shown: data in metres in mm, anything else as it is."""
    return (MM_PER_M, "mm") if units == "m" else (1.0, UNIT_NAMES.get(units, units))


def unit_of(definition: Definition, units: str) -> str:
    """ "m²" for LVE of data in metres, "m/s" for a speed, "" for a correlation."""
    return _named(definition, UNIT_NAMES.get(units, units))


def in_millimetres(value: float, definition: Definition, units: str) -> tuple[float, str]:
    """The number as it is read best, and its unit."""
    factor, unit = length_unit(units)
    return value * factor**definition.power, _named(definition, unit)


def _named(definition: Definition, unit: str) -> str:
    if not definition.power:
        return ""
    return unit + POWERS[definition.power] + ("/s" if definition.per_second else "")


def finite(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else value
