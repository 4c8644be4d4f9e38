"""Published numbers: TOML files, one per data set, in which every number has a citation and says what it depends on.

`[source.NAME]` tables hold what the values of one publication share; a `[[value]]` names its source, and its own keys
win. Each facet of `FACETS` is stated or listed under `unknown`: silence is not allowed. All mistakes of a file are told
together, each with the number and model of its value.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import RecipeError
from pipeline.table import published_checks as checks
from pipeline.table.published_checks import ALL_VERTICES, KINDS
from pipeline.table.terms import Region, Regions, Terms
from pipeline.toml import shown
from pipeline.workspace import PROJECT

FOLDER = PROJECT / "docs" / "published"


@dataclass(frozen=True)
class Value:
    """A published number. value: as printed. scale: what it is printed in, 1e-4 say; None where that is not stated."""

    model: str
    metric: str
    value: float
    scale: float | None
    kind: str
    paper: str
    read_in: str
    note: str
    terms: Terms

    @property
    def source(self) -> str:
        """What a footnote says of where the number comes from."""
        return f"{self.paper}; read in: {self.read_in}" + (f"; {self.note}" if self.note else "")


@dataclass(frozen=True)
class Published:
    """A file. units: of the data set's lengths, as in `sequences`. scale: family → what papers print it in."""

    dataset: str
    units: str
    scale: Mapping[str, float]
    values: tuple[Value, ...]


def read_all(extra: Sequence[Path] = ()) -> list[Published]:
    """The files that come with the project, then the user's own. RecipeError with a line for every mistake."""
    return [read(path) for path in (*sorted(FOLDER.glob("*.toml")), *extra)]


def read(path: Path) -> Published:
    """One file, checked. RecipeError with a line for every mistake."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RecipeError(f"{shown(path)} cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{shown(path)} is not valid TOML: {error}") from error
    problems = list(checks.of_file(document))
    entries = [] if problems else _entries(document)
    problems += checks.of_entries(entries)
    if problems:
        raise RecipeError("\n".join(f"{shown(path)}: {sentence}" for sentence in problems))
    values = tuple(_value(entry) for entry in entries)
    return Published(document["dataset"], document["units"], document.get("scale", {}), values)


def _entries(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each value with what its source says; a key that one states is no longer unknown from the other."""
    found = []
    for value in document.get("value", []):
        shared = document.get("source", {}).get(value.get("source"), {})
        entry = {**shared, **value}
        if "unknown" not in value and isinstance(shared.get("unknown"), list):
            entry["unknown"] = [facet for facet in shared["unknown"] if facet not in value]
        found.append(entry)
    return found


def _value(entry: Mapping[str, Any]) -> Value:
    """A value of a file that has no problems."""
    unknown = tuple(entry.get("unknown", ()))
    terms = Terms(
        definition=None if "definition" in unknown else entry["metric"],
        region=_regions(entry["region"]) if "region" in entry else None,
        split=entry.get("split"),
        unit=entry.get("unit"),
        average=entry.get("average"),
        sequences=entry.get("sequences"),
        unknown=unknown,
        differs=tuple(entry.get("differs", ())),
    )
    return Value(
        model=entry["model"],
        metric=entry["metric"],
        value=float(entry["value"]),
        scale=float(entry["scale"]) if "scale" in entry else None,
        kind=entry.get("kind", KINDS[0]),
        paper=entry["paper"],
        read_in=entry["read_in"],
        note=entry.get("note", ""),
        terms=terms,
    )


def _regions(region: Any) -> Regions:
    return () if region == ALL_VERTICES else (Region(**region),)
