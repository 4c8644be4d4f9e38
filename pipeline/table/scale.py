"""In what numbers are shown: the power of ten that papers print, millimetres, or the data's unit as it is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

WAYS = ("paper", "plain", "mm")
_MILLIMETRES = {"m": ("mm", 1e3), "m²": ("mm²", 1e6), "m/s": ("mm/s", 1e3)}
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MOST_DECIMALS = 6


@dataclass(frozen=True)
class Scale:
    """A number v of the data is shown as v · factor / 10^exponent. decimals: None for five significant digits."""

    unit: str
    factor: float
    exponent: int
    decimals: int | None

    @property
    def heading(self) -> str:
        """ "×10⁻⁴ √area²", "mm", "" for a number that has neither."""
        power = f"×10{str(self.exponent).translate(_SUPERSCRIPTS)}" if self.exponent else ""
        return f"{power} {self.unit}".strip()

    def shown(self, value: float) -> float:
        return value * self.factor / 10.0**self.exponent

    def text(self, value: float) -> str:
        return self.printed(self.shown(value))

    def printed(self, number: float) -> str:
        """A number that is scaled already, with a true minus sign where it is one."""
        text = f"{number:.5g}" if self.decimals is None else f"{number:z.{self.decimals}f}"
        return text.replace("-", "−") if "e" not in text else text


def choose(way: str, unit: str, printed: float | None, values: Iterable[float], decimals: int | None) -> Scale:
    """The scale of a column.

    Arguments:
        way: one of `WAYS`.
        unit: of the stored numbers.
        printed: what papers print this family in, 1e-4 say; None where that is not known.
        values: all stored numbers of the column.
        decimals: wished for; None for a choice by the largest number.
    """
    largest = max((abs(value) for value in values), default=0.0)
    factor, exponent = 1.0, 0
    if way == "mm" and unit in _MILLIMETRES:
        unit, factor = _MILLIMETRES[unit]
    elif way != "plain" and unit:
        exponent = round(math.log10(printed)) if printed else _readable(largest)
    if decimals is None and way != "plain":
        decimals = _decimals(largest * factor / 10.0**exponent) if unit else _decimals_alone(largest)
    return Scale(unit, factor, exponent, decimals)


def _readable(largest: float) -> int:
    """0 for numbers that read well as they are, else the power of ten that leaves one digit before the point."""
    power = _magnitude(largest)
    return power if not -1 <= power <= 3 else 0


def _decimals(largest: float) -> int:
    """Five digits of the largest number, as papers print, and never more than four decimals from one up."""
    power = _magnitude(largest)
    return min(_MOST_DECIMALS, max(0, 4 - power) if power >= 0 else 3 - power)


def _decimals_alone(largest: float) -> int:
    """Of numbers without a unit, as correlations and squared differences of codes: three, more where all are small."""
    return min(_MOST_DECIMALS, max(3, 2 - _magnitude(largest)))


def _magnitude(number: float) -> int:
    return math.floor(math.log10(number)) if number > 0 else 0
