"""What was found of one sequence as files, so that the next report measures only what is new.

Numbers are JSON, exact to the last bit; the surface is float32, which is more than a figure shows.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from stages.kinds.plain import write_json
from stages.metrics.measure import Found, Measured
from stages.metrics.surface import Surface

FOLDER = "sequences"


def write(folder: Path, name: str, found: Found) -> list[Path]:
    """The files of a sequence: one, and another where it has a surface."""
    written = [write_json(folder / f"{name}.json", [_facts(measured) for measured in found.measured])]
    if found.surface is None:
        return written
    file = folder / f"{name}.npy"
    np.save(file, np.stack([getattr(found.surface, field.name) for field in fields(Surface)]).astype(np.float32))
    return [*written, file]


def numbers(folder: Path, name: str) -> list[Measured]:
    """Of a sequence, in every row."""
    return [_measured(entry) for entry in json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))]


def surface(folder: Path, name: str) -> Surface:
    """Of a sequence."""
    return Surface(*np.load(folder / f"{name}.npy").astype(np.float64))


def _facts(measured: Measured) -> dict[str, Any]:
    """JSON has no NaN; null stands for it. Where nothing was drawn there is no seed."""
    values = {name: None if math.isnan(value) else value for name, value in measured.values.items()}
    facts = asdict(measured) | {"values": values}
    return {name: value for name, value in facts.items() if name != "seed" or value is not None}


def _measured(facts: dict[str, Any]) -> Measured:
    values = {name: math.nan if value is None else value for name, value in facts.pop("values").items()}
    return Measured(values=values, **facts)
