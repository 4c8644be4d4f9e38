"""What may be wrong in a file of published numbers, in sentences."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pipeline.registry import nearest
from pipeline.table.terms import AVERAGES, FACETS

ALL_VERTICES = "all vertices"
KINDS = ("result", "ablation", "retraining")
"""A model as its authors or later papers report it; a variant of it; a training by a user of the published code."""


def of_file(document: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the file around its values."""
    yield from _unknown_keys(document, ("dataset", "units", "scale", "source", "value"), "the file")
    for key in ("dataset", "units"):
        if not _is_text(document.get(key)):
            yield f"the file has no {key!r}"
    if not _are_tables(document.get("value", [])):
        yield "'value' must be written as [[value]] tables"
        return
    sources = document.get("source", {})
    if not isinstance(sources, dict) or not _are_tables(list(sources.values())):
        yield "'source' must be written as [source.NAME] tables"
        return
    for name, source in sources.items():
        yield from _unknown_keys(
            source, tuple(_CHECKS.keys() - {"model", "metric", "value", "source"}), f"source {name}"
        )
    for index, value in enumerate(document.get("value", []), start=1):
        name = str(value.get("source", ""))
        if "source" in value and name not in sources:
            known = ", ".join(sources) or "none"
            yield f"value {index}: there is no source {name!r}, only {known}.{nearest(name, sources)}"
    scale = document.get("scale", {})
    if not isinstance(scale, dict) or not all(_is_power_of_ten(number) for number in scale.values()):
        yield "'scale' must be a table of family = power of ten, lve = 1e-4 say"


def of_entries(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What is wrong with the values, each joined with its source."""
    found = False
    for index, entry in enumerate(entries, start=1):
        for sentence in _problems(entry):
            found = True
            yield f"value {index} ({entry.get('model', '?')}, {entry.get('metric', '?')}): {sentence}"
    if not found:
        yield from _repeated(entries)


def _problems(entry: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a value."""
    yield from _unknown_keys(entry, tuple(_CHECKS), "it")
    for key in ("model", "metric", "value", "paper", "read_in"):
        if key not in entry:
            yield f"it has no {key!r}" + (
                "; a published number needs its citation" if key in ("paper", "read_in") else ""
            )
    wrong = [key for key, (fits, _) in _CHECKS.items() if key in entry and not fits(entry[key])]
    yield from (f"{key!r} must be {_CHECKS[key][1]}, not {entry[key]!r}" for key in wrong)
    unknown = entry.get("unknown", []) if "unknown" not in wrong else []
    for facet in FACETS[1:]:
        if (facet in entry) == (facet in unknown):
            yield (
                f"{facet!r} is stated and 'unknown' as well"
                if facet in entry
                else (f"{facet!r} must be stated, or listed under 'unknown'")
            )


def _repeated(entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Two numbers that could not be told apart in a table."""
    seen = set()
    for index, entry in enumerate(entries, start=1):
        what = (entry["model"], entry["metric"], entry["paper"], entry["read_in"])
        if what in seen:
            yield f"value {index} ({entry['model']}, {entry['metric']}): stands twice from the same source"
        seen.add(what)


def _unknown_keys(table: Mapping[str, Any], known: Sequence[str], what: str) -> Iterator[str]:
    for key in table:
        if key not in known:
            yield f"{what} has an unknown key {key!r}.{nearest(key, known)}"


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_scale(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_power_of_ten(value: Any) -> bool:
    return _is_scale(value) and math.isclose(value, 10.0 ** round(math.log10(value)))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_region(value: Any) -> bool:
    return value == ALL_VERTICES or (
        isinstance(value, dict)
        and value.keys() <= {"name", "vertices", "sha256", "published"}
        and _is_text(value.get("name"))
        and _is_count(value.get("vertices"))
        and all(isinstance(value.get(key, ""), str) for key in ("sha256", "published"))
    )


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(_is_text(item) for item in value)


_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "model": (_is_text, "a text"),
    "metric": (lambda value: _is_text(value) and bool(re.fullmatch(r"\w+/[\w-]+", value)), 'an id "family/variant"'),
    "value": (_is_number, "a finite number"),
    "source": (_is_text, "the name of a [source.NAME] table"),
    "paper": (_is_text, "a citation"),
    "read_in": (_is_text, "where the number was read"),
    "region": (
        _is_region,
        f'"{ALL_VERTICES}" or {{ name = "lips", vertices = 254 }}, sha256 and published if known',
    ),
    "split": (_is_text, "a text"),
    "unit": (lambda value: isinstance(value, str), 'a text, "" for a number without one'),
    "average": (lambda value: value in AVERAGES, f"one of {', '.join(AVERAGES)}"),
    "scale": (_is_scale, "a positive number, 1e-4 say"),
    "sequences": (_is_count, "a whole number from 1 up"),
    "kind": (lambda value: value in KINDS, f"one of {', '.join(KINDS)}"),
    "unknown": (lambda value: _is_list(value) and set(value) <= set(FACETS), f"a list of {', '.join(FACETS)}"),
    "differs": (_is_list, "a list of texts"),
    "note": (_is_text, "a text"),
}
"""Key of a value → whether a value fits, and what it must be."""
