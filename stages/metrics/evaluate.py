"""The work of the stage `metrics`: choose, measure, write, draw, tell."""

from __future__ import annotations

from pipeline.errors import StageError
from pipeline.stage import Job
from stages.kinds.predictions import Predictions, check_alike
from stages.kinds.sequences import Sequences
from stages.metrics import Params, plots, report
from stages.metrics.measure import MEAN_MOTION, MODEL, NEUTRAL, Measured, Row, measure_all
from stages.metrics.regions import find_regions


def evaluate(job: Job, params: Params) -> None:
    """Fill `job.out` with the report."""
    data, predictions = Sequences(job.inputs["data"].path), Predictions(job.inputs["predictions"].path)
    check_alike(data, predictions)
    regions = find_regions(data, params)
    by_sequence = choose(predictions, params.splits)
    rows = {name: Row(params.average) for name in (MODEL, NEUTRAL, MEAN_MOTION)}
    measured: list[Measured] = []
    sequences = measure_all(data, predictions, by_sequence, regions)
    for found in job.track(sequences, total=len(by_sequence), unit="sequences"):
        measured += found
        for name, row in rows.items():
            counted = [item for item in found if item.row == name and item.counted]
            if counted:
                row.add(counted)
    rows = {name: row for name, row in rows.items() if row.sequences}
    numbers = report.numbers(rows, regions, data.units)
    report.write_numbers(job.out / "metrics.json", data, predictions, numbers, regions)
    report.write_csv(job.out / "per_sequence.csv", measured)
    figures = job.out / "figures"
    plots.bars(figures / "baselines.png", rows, predictions.info.model, data.units)
    if regions.has("opening"):
        plots.opening_curves(figures, data, predictions, by_sequence, regions, params.curves)
    for note in regions.notes:
        job.say(note)
    job.say(f"{rows[MODEL].sequences} sequences, {rows[MODEL].frames} frames, mean over {params.average}")
    job.say(report.table(rows, data.units))


def choose(predictions: Predictions, splits: list[str]) -> dict[str, list[str]]:
    """id → names of its predictions, both sorted; of the wanted splits alone."""
    found: dict[str, list[str]] = {}
    for name, item in sorted(predictions.items.items()):
        if not splits or item.split in splits:
            found.setdefault(item.id, []).append(name)
    if not found:
        there = ", ".join(sorted({item.split for item in predictions.items.values()})) or "nothing"
        raise StageError(f"{predictions.path} holds no prediction of {', '.join(splits)} (it holds: {there})")
    return dict(sorted(found.items()))
