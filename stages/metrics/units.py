"""How numbers are named and read: the unit that follows from data and definition, millimetres where that is metric."""

from __future__ import annotations

import math

from faces.metrics_definitions import Definition

MM_PER = {"m": 1000.0, "nphm": 250.0}
"""Units of length that are shown in millimetres. NPHM's are FLAME's metres times 4."""
UNIT_NAMES = {
    "unit-area": "√area",
    "template-area": "√template area",
    "template-extents": "template extents",
    "multiface-box": "half boxes",
}
"""BIWI's meshes are scaled to unit surface area, each frame's own or their template's: the unit of length is the root
of that area, not a millimetre. With FaceXHuBERT's preparation each axis is scaled to its template's extent, and
Multiface's to a box of ±1: the unit is another length along each axis, so that no factor makes millimetres of
distances; data that are prepared in millimetres give them."""
POWERS = {1: "", 2: "²"}


def length_unit(units: str) -> tuple[float, str]:
    """The factor and the name of the unit in which lengths are shown: data in metres in mm, anything else as it is."""
    return (MM_PER[units], "mm") if units in MM_PER else (1.0, UNIT_NAMES.get(units, units))


def length_name(units: str) -> str:
    """Of a length as the data have it."""
    return UNIT_NAMES.get(units, units)


def unit_of(definition: Definition, units: str) -> str:
    """ "m²" for LVE of data in metres, "m/s" for a speed, "%" for a share, "1/s" for a speed of codes, "" for a
    correlation."""
    return _named(definition, length_name(units))


def in_millimetres(value: float, definition: Definition, units: str) -> tuple[float, str]:
    """The number as it is read best, and its unit."""
    factor, unit = length_unit(units)
    return value * factor**definition.power, _named(definition, unit)


def _named(definition: Definition, unit: str) -> str:
    if not definition.power:
        return "%" if definition.percent else "1/s" if definition.per_second else ""
    return unit + POWERS[definition.power] + ("/s" if definition.per_second else "")


def finite(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else value
