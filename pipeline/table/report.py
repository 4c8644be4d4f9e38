"""Reading `metrics.json`, which the stage `metrics` writes: numbers, each with all that it depends on.

A file of another form is refused with a sentence that says what is missing where; nothing is guessed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pipeline.errors import RecipeError
from pipeline.table.terms import AVERAGES, Region, Regions, Terms
from pipeline.toml import shown

FILE = "metrics.json"
MODEL, AGAINST = "model", "against"
"""The rows of the model itself, and of one that it was tested against; every other row is a baseline's."""

_WORDS = {str: "a text", int: "a whole number", float: "a number", list: "a list", dict: "a table"}


class _Unfit(Exception):
    """What is wrong inside a file."""


@dataclass(frozen=True)
class Number:
    """One number. metric: id of its definition. value: in `terms.unit`; None where it is not defined."""

    row: str
    metric: str
    name: str
    value: float | None
    interval: tuple[float, float] | None
    terms: Terms


@dataclass(frozen=True)
class Report:
    """A metrics file. units: of the data's lengths. samples: of each sentence, where motion was drawn; else 0."""

    dataset: str
    model: str
    units: str
    splits: tuple[str, ...]
    numbers: tuple[Number, ...]
    samples: int = 0

    @property
    def best_row(self) -> str:
        """The row of the best sample of each sentence, "" where there is none."""
        return f"best of {self.samples}" if self.samples > 1 else ""

    @property
    def baselines(self) -> list[str]:
        """Names of the rows that are no model's."""
        models = (MODEL, AGAINST, self.best_row)
        return [row for row in dict.fromkeys(number.row for number in self.numbers) if row not in models]

    def number(self, row: str, metric: str) -> Number | None:
        return next((number for number in self.numbers if (number.row, number.metric) == (row, metric)), None)


def read(path: Path) -> Report:
    """The report in a file. RecipeError, with the file and what is wrong, where there is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"there is no {shown(path)}; name recipes, or folders that hold a {FILE}") from None
    except (OSError, ValueError) as error:
        raise RecipeError(f"{shown(path)} cannot be read as JSON ({error}); make it again with pipe run") from error
    try:
        return _report(document)
    except _Unfit as error:
        raise RecipeError(
            f"{shown(path)} is not what the stage metrics of this version writes: {error}; make it again with pipe run"
        ) from error


def _report(document: Any) -> Report:
    facts = _fits(document, dict, "the file")
    splits = tuple(str(split) for split in _get(facts, "splits", list, "the file"))
    numbers = []
    for index, record in enumerate(_get(facts, "numbers", list, "the file"), start=1):
        place = f"number {index}"
        numbers.append(_number(_fits(record, dict, place), place, ", ".join(splits)))
    dataset, model, units = (_get(facts, key, str, "the file") for key in ("dataset", "model", "units"))
    drawn = _get(facts, "samples", dict, "the file") if "samples" in facts else {"count": 0}
    samples = _get(drawn, "count", int, "'samples'")
    return Report(dataset, model, units, splits, tuple(numbers), samples)


def _number(record: Mapping[str, Any], place: str, split: str) -> Number:
    metric = _get(record, "metric", str, place)
    place = f"{place} ({metric})"
    average = _get(record, "average", str, place)
    if average not in AVERAGES:
        raise _Unfit(f"'average' of {place} is {average!r} instead of {' or '.join(AVERAGES)}")
    rules = tuple(_get(record, f"{rule}_rule", str, place) for rule in ("template", "frame", "subject"))
    if "threshold" in record:
        rules += (f"threshold {_get(record, 'threshold', float, place):g}",)
    if "scorer" in record:
        rules += (f"scored by {_get(record, 'scorer', str, place)}",)
    if "reader" in record:
        rules += (f"read by {_get(record, 'reader', str, place)}",)
    terms = Terms(
        definition=metric,
        region=_regions(record, place),
        split=split,
        unit=_get(record, "unit", str, place),
        average=average,
        sequences=_get(record, "sequences", int, place),
        rules=rules,
    )
    value = None if _has_none(record, "value", place) else _get(record, "value", float, place)
    name = _get(record, "name", str, place)
    return Number(_get(record, "row", str, place), metric, name, value, _interval(record, place), terms)


def _interval(record: Mapping[str, Any], place: str) -> tuple[float, float] | None:
    if _has_none(record, "interval", place):
        return None
    ends = _get(record, "interval", list, place)
    if len(ends) != 2:
        raise _Unfit(f"'interval' of {place} has {len(ends)} entries instead of 2")
    low, high = (_fits(end, float, f"'interval' of {place}") for end in ends)
    return low, high


def _regions(record: Mapping[str, Any], place: str) -> Regions | None:
    """None where texts, codes or pictures are compared, not shapes."""
    if record.get("region") in ("all vertices", "texts", "codes", "pictures"):
        return () if record["region"] == "all vertices" else None
    place = f"'region' of {place}"
    parts = [_fits(part, dict, place) for part in _get(record, "region", list, place)]
    if not parts:
        raise _Unfit(f"{place} is empty")
    return tuple(Region(*(_get(part, key, kind, place) for key, kind in _REGION.items())) for part in parts)


_REGION: Mapping[str, type] = {"name": str, "vertices": int, "sha256": str, "published": str}


def _has_none(record: Mapping[str, Any], key: str, place: str) -> bool:
    if key not in record:
        raise _Unfit(f"{place} has no {key!r}")
    return record[key] is None


def _get(record: Mapping[str, Any], key: str, kind: type, place: str) -> Any:
    if key not in record:
        raise _Unfit(f"{place} has no {key!r}")
    return _fits(record[key], kind, f"{key!r} of {place}")


def _fits(value: Any, kind: type, place: str) -> Any:
    """The value, if it is of the kind. Whole numbers are numbers too; NaN and the infinite are none."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if kind is float and (whole or isinstance(value, float)) and math.isfinite(value):
        return float(value)
    if (kind is int and whole) or (kind not in (int, float) and isinstance(value, kind)):
        return cast("Any", value)
    raise _Unfit(f"{place} is {repr(value)[:40]} instead of {_WORDS[kind]}")
