"""The numbers of the stage `metrics` as files and as a small table: JSON with every definition, CSV by sequence."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from faces.metrics import DEFINITIONS, Definition
from stages.kinds.plain import write_json
from stages.kinds.predictions import Predictions
from stages.kinds.sequences import Sequences
from stages.metrics.measure import Measured, Row
from stages.metrics.regions import Regions

POWERS = {0: "", 1: "", 2: "²"}
MM_PER_M = 1000.0
UNIT_NAMES = {"unit-area": "√area"}
"""BIWI's meshes are scaled to unit surface area: their unit of length is the root of that area, not a millimetre."""
RULE = "a subject of the training set counts in its own style, anyone else as the mean over all predicted styles"


def unit_of(definition: Definition, units: str) -> str:
    """ "m²" for LVE of data in metres, "" for a correlation."""
    return UNIT_NAMES.get(units, units) + POWERS[definition.power] if definition.power else ""


def in_millimetres(value: float, definition: Definition, units: str) -> tuple[float, str]:
    """The number as it is read best: data in metres in mm or mm², anything else as it is."""
    if units != "m" or not definition.power:
        return value, unit_of(definition, units)
    return value * MM_PER_M**definition.power, "mm" + POWERS[definition.power]


def numbers(rows: Mapping[str, Row], regions: Regions, units: str) -> list[dict[str, Any]]:
    """One record per row and metric: the number and everything that it depends on."""
    found = []
    for name, row in rows.items():
        for metric, mean in row.means.items():
            definition = DEFINITIONS[metric]
            value, mm = finite(mean.value), in_millimetres(mean.value, definition, units)
            record: dict[str, Any] = {"row": name, "metric": metric, "value": value, "unit": unit_of(definition, units)}
            if mm[1] != record["unit"]:
                record |= {"value_mm": finite(mm[0]), "unit_mm": mm[1]}
            record |= {
                "name": definition.name,
                "definition": definition.formula,
                "region": regions.facts(definition.region) or "all vertices",
                "average": mean.average,
                "sequences": row.sequences,
                "frames": row.frames,
            }
            found.append(record)
    return found


def write_numbers(
    file: Path, data: Sequences, predictions: Predictions, records: Sequence[Mapping[str, Any]], regions: Regions
) -> None:
    facts = {
        "dataset": data.info.dataset,
        "model": predictions.info.model,
        "fps": data.fps,
        "units": data.units,
        "conditions": RULE,
        "lengths": "truth and prediction are cut to the shorter",
        "notes": list(regions.notes),
        "numbers": list(records),
    }
    write_json(file, facts)


def write_csv(file: Path, measured: Iterable[Measured]) -> None:
    """Every sequence in every condition and baseline, in the data's units; an undefined number is an empty field."""
    rows = list(measured)
    metrics = [name for name in DEFINITIONS if any(name in row.values for row in rows)]
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["row", "id", "subject", "condition", "split", "counted", "frames", *metrics])
        for row in rows:
            values = ["" if math.isnan(row.values[name]) else f"{row.values[name]:.9g}" for name in metrics]
            counted = "yes" if row.counted else "no"
            writer.writerow([row.row, row.id, row.subject, row.condition, row.split, counted, row.frames, *values])


def table(rows: Mapping[str, Row], units: str) -> str:
    """Rows against metrics, in millimetres where the data are metric."""
    metrics = [name for name in DEFINITIONS if any(name in row.means for row in rows.values())]
    lines = [[""] + [_heading(DEFINITIONS[name], units) for name in metrics]]
    for name, row in rows.items():
        values = [in_millimetres(row.means[metric].value, DEFINITIONS[metric], units)[0] for metric in metrics]
        lines.append([name] + ["–" if math.isnan(value) else f"{value:.4g}" for value in values])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(_aligned(line, widths)) for line in lines)


def _aligned(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    """The first column to the left, numbers to the right."""
    return [line[0].ljust(widths[0]), *(word.rjust(width) for word, width in zip(line[1:], widths[1:], strict=True))]


def _heading(definition: Definition, units: str) -> str:
    short = {"abs_fdd": "|FDD|", "opening_correlation": "lip r"}.get(definition.id, definition.id.upper())
    return f"{short} {in_millimetres(0.0, definition, units)[1]}".strip()


def finite(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else value
