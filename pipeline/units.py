"""Sizes and ages as people write them: "200GB", "1.5 TB", "30d", "12h"."""

from __future__ import annotations

import math
import re

from pipeline.errors import RecipeError

_BYTES = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SECONDS = {"min": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}


def size_of(text: str, option: str) -> int:
    """Bytes. RecipeError naming the option."""
    found = re.fullmatch(r"([\d.]+)\s*([kmgt]i?|)b?", text.strip().lower())
    if found is None or (number := _number(found[1])) is None:
        raise RecipeError(f"{option} {text!r}: write a size such as 200GB, 1.5TB, 500MB or 64GiB")
    return int(number * _BYTES[found[2]])


def seconds_of(text: str, option: str) -> float:
    """Seconds. RecipeError naming the option."""
    found = re.fullmatch(r"([\d.]+)\s*(min|h|d|w|y)", text.strip().lower())
    number = 0.0 if text.strip() == "0" else _number(found[1]) if found else None
    if number is None:
        raise RecipeError(f"{option} {text!r}: write an age such as 30d, 12h, 8w or 45min")
    return number * _SECONDS[found[2]] if found else 0.0


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def ago(seconds: float) -> str:
    """ "just now", "25 min", "7 h", "12 d", "1.5 y": how long something is past, in four letters or so."""
    if seconds < 60:
        return "just now"
    for unit, length, limit in (("min", 60, 60), ("h", 3600, 48), ("d", 86400, 730)):
        if seconds < length * limit:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / _SECONDS['y']:.1f} y"
