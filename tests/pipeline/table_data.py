"""For the tests of `pipe table`: made-up metrics files in the form that the stage `metrics` writes, and a toy stage."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.stage import Job, Slot, Stage, param

LIPS = {"name": "lips", "vertices": 4996, "sha256": "da5b5d3cb03f", "published": "codetalker/biwi-lips"}
UPPER = {"name": "upper_face", "vertices": 7784, "sha256": "24877c2e1ab7", "published": "codetalker/biwi-upper"}
OPENING = [
    {"name": "lip_upper", "vertices": 20, "sha256": "0" * 12, "published": ""},
    {"name": "lip_lower", "vertices": 22, "sha256": "1" * 12, "published": ""},
]
METRICS: dict[str, tuple[str, Any, str]] = {
    "lve/codetalker": ("²", [LIPS], "frames"),
    "lve/unitalker": ("²", [LIPS], "sequences"),
    "mve/facediffuser": ("1", "all vertices", "frames"),
    "fdd/codetalker": ("²", [UPPER], "sequences"),
    "fdd_abs/facediffuser": ("²", [UPPER], "sequences"),
    "opening_correlation/facepipe": ("", OPENING, "sequences"),
}
"""Definition → power of the unit, region, averaging."""
NUMBERS = {
    "lve/codetalker": 4.9e-4,
    "lve/unitalker": 4.8e-4,
    "mve/facediffuser": 7.1e-3,
    "fdd/codetalker": -3.2e-5,
    "fdd_abs/facediffuser": 3.9e-5,
    "opening_correlation/facepipe": 0.81234,
}


def number(
    metric: str, value: float | None, /, row: str = "model", unit: str = "√area", **changes: Any
) -> dict[str, Any]:
    """One record of "numbers"."""
    power, region, average = METRICS[metric]
    family = metric.partition("/")[0]
    return {
        "row": row,
        "metric": metric,
        "family": family,
        "name": family,
        "definition": "a formula",
        "source": "a citation",
        "value": value,
        "unit": unit + power.replace("1", "") if power else "",
        "interval": None if value is None else [value * 0.9, value * 1.1],
        "region": region,
        "average": average,
        "template_rule": "positions, no template",
        "frame_rule": "both cut to the shorter",
        "subject_rule": "own style",
        "sequences": 24,
        "frames": 3879,
        "subjects": {"F2": value},
    } | changes


def report(
    numbers: Mapping[str, float | None] = NUMBERS,
    baselines: Mapping[str, float] | None = None,
    *,
    dataset: str = "biwi",
    model: str = "codetalker",
    units: str = "unit-area",
    splits: Sequence[str] = ("test-a",),
    **changes: Any,
) -> dict[str, Any]:
    """A whole document. changes: to every number."""
    unit = {"unit-area": "√area"}.get(units, units)
    records = [number(metric, value, unit=unit, **changes) for metric, value in numbers.items()]
    for row, factor in (baselines or {}).items():
        records += [number(metric, value and value * factor, row, unit, **changes) for metric, value in numbers.items()]
    facts = {"dataset": dataset, "model": model, "fps": 25.0, "units": units, "splits": list(splits), "notes": []}
    return facts | {"template": "a rule", "lengths": "a rule", "conditions": "a rule", "numbers": records}


def write(folder: Path, document: Any = None, **changes: Any) -> Path:
    """A folder with a metrics.json in it: a document, or the one that `report` makes with changes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(report(**changes) if document is None else document))
    return folder


@dataclass(frozen=True)
class MeasureParams:
    model: str = param("codetalker", help="whose numbers they are said to be")
    dataset: str = param("biwi", help="on which data they are said to be")
    better: float = param(1.0, help="what errors are divided by")


class Measure(Stage):
    """Numbers of a model that nobody ran."""

    name = "metrics"
    Params = MeasureParams
    inputs = {"data": Slot("numbers")}  # noqa: RUF012
    output = "metrics"

    def run(self, job: Job) -> None:
        numbers = {metric: value / self.params.better for metric, value in NUMBERS.items()}
        units, splits = ("m", ["test"]) if self.params.dataset == "vocaset" else ("unit-area", ["test-a"])
        document = report(
            numbers,
            {"mean motion": 2.0},
            dataset=self.params.dataset,
            model=self.params.model,
            units=units,
            splits=splits,
        )
        (job.out / "metrics.json").write_text(json.dumps(document))


RECIPE = """\
[recipe]
title = "numbers of nobody"

[step.read]
stage = "tests.pipeline.toy:Read"
file = "numbers.txt"

[step.metrics]
stage = "tests.pipeline.table_data:Measure"
"""
