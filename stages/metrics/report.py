"""The numbers of the stage `metrics` as files and as a small table: JSON with every definition, CSV by sequence."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from faces.metrics_definitions import Definition
from stages.kinds.plain import write_json
from stages.kinds.predictions import Predictions
from stages.kinds.sequences import Sequences
from stages.metrics import paired
from stages.metrics.choose import AGAINST, MODEL
from stages.metrics.measure import Measured
from stages.metrics.regions import Regions
from stages.metrics.samples import BEST_OF, MEAN_OF, Samples
from stages.metrics.scores import Score, Scores
from stages.metrics.units import finite, in_millimetres, length_name, unit_of

CONDITIONS = "a subject of the training set counts in its own style, anyone else as the mean over all predicted styles"
TEMPLATE = "errors compare absolute positions; dynamics are of the displacement from the subject's own neutral template"
LENGTHS = "each prediction is cut to the truth, and the truth to a prediction that ends before it"
HEADLINES = {
    "lve": "LVE",
    "mve": "MVE",
    "fdd": "FDD",
    "fdd_abs": "|FDD|",
    "velocity": "velocity",
    "opening_correlation": "lip r",
    "lip_readability": "LRP",
    "lip_reading_error": "lip CER",
    "cer": "expert CER",
    "ver": "expert VER",
    "lse_d": "LSE-D",
    "lse_c": "LSE-C",
    "code_mse": "code MSE",
    "code_velocity": "code velocity",
    "diversity_samples": "diversity",
    "diversity_codes": "diversity",
    "chamfer_l1": "Chamfer-L1",
    "completeness": "completeness",
    "accuracy": "accuracy",
    "normal_consistency": "normals",
    "fscore_1mm": "F@1mm",
    "fscore_5mm": "F@5mm",
}
"""Families of the terminal's table, one column each; all else is in the files."""
NOBODY: Mapping[str, str] = {}
NOT_DRAWN = Samples(0)


def numbers(
    rows: Mapping[str, Scores],
    regions: Regions,
    units: str,
    threshold: float = 0.0,
    readers: Mapping[str, str] = NOBODY,
    samples: Samples = NOT_DRAWN,
) -> list[dict[str, Any]]:
    """One record per row and definition: the number and everything that it depends on. threshold: the length below
    which the lips can be read. readers: id of a definition of what an expert reads, or a network compares → who did it
    how. samples: how many of each sentence there are."""
    scores = [(name, score) for name, scores in rows.items() for score in scores.values()]
    return [
        _record(name, score, regions, units, threshold, readers) | _drawn(name, score.definition, samples)
        for name, score in scores
    ]


def _drawn(row: str, definition: Definition, samples: Samples) -> dict[str, Any]:
    """What a record says of samples: nothing where none was drawn."""
    if not samples.count or row not in (MODEL, samples.row):
        return {}
    best = {"subject_rule": f"the best of {samples.count} samples of each sentence"} if row == samples.row else {}
    return {"samples": samples.count} | best


def _record(
    row: str, score: Score, regions: Regions, units: str, threshold: float, readers: Mapping[str, str]
) -> dict[str, Any]:
    definition, value, unit = score.definition, score.value, unit_of(score.definition, units)
    record: dict[str, Any] = {
        "row": row,
        "metric": definition.id,
        "family": definition.family,
        "name": definition.name,
        "definition": definition.rule,
        "source": definition.source,
        "value": finite(value),
        "unit": unit,
    }
    shown, unit_shown = in_millimetres(value, definition, units)
    if unit_shown != unit:
        record |= {"value_mm": finite(shown), "unit_mm": unit_shown}
    if definition.threshold:
        record |= {"threshold": threshold, "threshold_unit": length_name(units)}
    if definition.id in readers:
        record["scorer" if definition.synchrony else "reader"] = readers[definition.id]
    return record | {
        "interval": score.interval,
        "region": _region(definition, regions),
        "average": definition.average,
        "template_rule": definition.template,
        "frame_rule": definition.lengths,
        "subject_rule": definition.styles,
        "sequences": len(score.ids),
        "frames": score.frames,
        "subjects": score.by_subject,
    }


def _region(definition: Definition, regions: Regions) -> Any:
    if definition.reads or definition.codes or definition.synchrony:
        return "texts" if definition.reads else "codes" if definition.codes else "pictures"
    return regions.facts(definition) or "all vertices"


def write_numbers(
    file: Path,
    data: Sequences,
    model: str,
    records: Sequence[Mapping[str, Any]],
    *,
    track: str = "",
    splits: Sequence[str],
    notes: Sequence[str],
    tests: Mapping[str, Any] | None,
    samples: Samples = NOT_DRAWN,
) -> None:
    """metrics.json. model: whose numbers they are. track: whose rows it made, "" for none. tests: the paired tests,
    where there are two sets of predictions. samples: of each sentence."""
    facts: dict[str, Any] = {
        "dataset": data.info.dataset,
        "model": model,
        "fps": data.fps,
        "units": data.units,
        "splits": list(splits),
        "template": TEMPLATE,
        "lengths": LENGTHS,
        "conditions": CONDITIONS,
        "notes": list(notes),
        "numbers": list(records),
    }
    if track:
        facts["track"] = track
    if samples.count:
        facts["samples"] = {"count": samples.count, "mean": MEAN_OF} | ({"best": BEST_OF} if samples.row else {})
    write_json(file, facts | ({"paired": tests} if tests else {}))


def paired_facts(rows: Mapping[str, Scores], against: Predictions, units: str) -> dict[str, Any]:
    """What metrics.json says of the paired tests."""
    return {
        "against": against.info.model,
        "how": paired.HOW,
        "tests": paired.pair(rows[MODEL], rows[AGAINST], units),
    }


def write_csv(
    file: Path,
    measured: Iterable[Measured],
    definitions: Sequence[Definition],
    regions: Regions,
    threshold: float = 0.0,
) -> None:
    """Every sequence in every condition and baseline, in the data's units; an undefined number is an empty field.

    The last columns say in every row, since a table may be cut, which regions the numbers are over, and below which
    threshold the lips count as readable. Where motion was drawn, a column has each sample's number.
    """
    measured = list(measured)
    drawn = any(row.seed is not None for row in measured)
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        names = [definition.id for definition in definitions]
        over = regions.captions(definitions)
        seen = [f"{role}_region" for role in over]
        below = {"lip_threshold": f"{threshold:.9g}"} if any(one.threshold for one in definitions) else {}
        first = ["row", "id", "subject", "condition", *(["seed"] if drawn else []), "split", "counted", "frames"]
        writer.writerow([*first, *names, *seen, *below])
        for row in measured:
            values = [row.values.get(definition.measure, math.nan) for definition in definitions]
            texts = ["" if math.isnan(value) else f"{value:.9g}" for value in values]
            counted = "yes" if row.counted else "no"
            seed = [row.seed if row.seed is not None else ""] if drawn else []
            facts = [row.row, row.id, row.subject, row.condition, *seed, row.split, counted, row.frames]
            writer.writerow([*facts, *texts, *over.values(), *below.values()])


def headlines(scores: Scores) -> dict[str, str]:
    """Family → the definition that stands for it in the terminal: the first of its variants that there is."""
    first: dict[str, str] = {}
    for name, item in scores.items():
        first.setdefault(item.definition.family, name)
    chosen = {family: first[family] for family in HEADLINES if family in first}
    return chosen or dict(list(first.items())[: len(HEADLINES)])


def table(
    rows: Mapping[str, Scores],
    regions: Regions,
    units: str,
    threshold: float = 0.0,
    readers: Mapping[str, str] = NOBODY,
) -> str:
    """Rows against the main metrics, in millimetres where the data are metric; below, the regions that they look at,
    the threshold of what can be read, and who read or scored it."""
    chosen = headlines(rows[MODEL])
    lines = [["", *(_heading(rows[MODEL][name].definition, units) for name in chosen.values())]]
    for row, scores in rows.items():
        values = [_shown(scores.get(name), units) for name in chosen.values()]
        lines.append([row, *values])
    shown = [rows[MODEL][name].definition for name in chosen.values()]
    over = [
        f"{', '.join(_short(one) for one in shown if one.role == role)} over {caption}"
        for role, caption in regions.captions(shown).items()
    ]
    below = [
        f"{_short(one)}: frames whose largest lip error is below {threshold:g} {length_name(units)}"
        for one in shown
        if one.threshold
    ]
    did = {True: "scored", False: "read"}
    by = [f"{_short(one)}: {did[one.synchrony]} by {readers[one.id]}" for one in shown if one.id in readers]
    return "\n".join([aligned(lines), *over, *below, *by])


def paired_table(tests: Mapping[str, Any], rows: Mapping[str, Scores], units: str) -> str:
    """The main metrics of the paired tests: difference, interval and p."""
    chosen = set(headlines(rows[MODEL]).values())
    lines = [[f"model minus against ({tests['against']})", "difference", "95 % interval", "p"]]
    for test in tests["tests"]:
        if test["metric"] in chosen and test["difference"] is not None:
            definition = rows[MODEL][test["metric"]].definition
            shown = [in_millimetres(x, definition, units)[0] for x in (test["difference"], *(test["interval"] or ()))]
            interval = f"{shown[1]:.3g} … {shown[2]:.3g}" if len(shown) == 3 else "–"
            lines.append([_heading(definition, units), f"{shown[0]:.3g}", interval, f"{test['p']:.2g}"])
    return aligned(lines)


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """The first column to the left, numbers to the right."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rows = [[line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])] for line in lines]
    return "\n".join("  ".join(row) for row in rows)


def _shown(score: Score | None, units: str) -> str:
    value = in_millimetres(score.value, score.definition, units)[0] if score else math.nan
    return "–" if math.isnan(value) else f"{value:.4g}"


def _short(definition: Definition) -> str:
    return HEADLINES.get(definition.family, definition.id)


def _heading(definition: Definition, units: str) -> str:
    return f"{_short(definition)} {in_millimetres(0.0, definition, units)[1]}".strip()
