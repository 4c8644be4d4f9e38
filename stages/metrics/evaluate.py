"""The work of the stage `metrics`: choose, measure, write, draw, tell."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.errors import Interrupted
from pipeline.stage import Job
from stages.kinds.predictions import Predictions
from stages.kinds.sequences import Sequences
from stages.metrics import Params, report
from stages.metrics.baselines import training_mean
from stages.metrics.choose import AGAINST, MEAN_MOTION, MODEL, NEUTRAL, Case, choose, notes_on_lengths
from stages.metrics.draw import Drawing, draw_all
from stages.metrics.measure import Measured, Measurer
from stages.metrics.regions import find_regions
from stages.metrics.scores import choose_definitions, score
from stages.metrics.surface import Surface, mean_surface


def evaluate(job: Job, params: Params) -> None:
    """Fill `job.out` with the report."""
    data, predictions = Sequences(job.inputs["data"].path), Predictions(job.inputs["predictions"].path)
    against = Predictions(job.inputs["against"].path) if AGAINST in job.inputs else None
    regions = find_regions(data, params)
    cases = choose(data, predictions, against, params.splits)
    parts = regions.parts(data)
    definitions, left_out = choose_definitions(params, parts, cases)
    diverse = any(item.measure == "diversity" for item in definitions)
    measurer = Measurer(data, parts, training_mean(data, job.workers), diverse)
    measured, surface = measure_all(job, measurer, cases)
    every = {row: score(measured, row, definitions) for row in (MODEL, NEUTRAL, MEAN_MOTION, AGAINST)}
    rows = {row: scores for row, scores in every.items() if scores and row != AGAINST}
    tests = report.paired_facts(every, against, data.units) if against else None
    notes = [*regions.notes, *notes_on_lengths(cases), *left_out]
    report.write_numbers(
        job.out / "metrics.json", data, predictions, report.numbers(rows, regions, data.units),
        splits=sorted({case.split for case in cases}), notes=notes, tests=tests,
    )  # fmt: skip
    report.write_csv(job.out / "per_sequence.csv", measured, definitions)
    if params.figures:
        draw_all(Drawing(job.out / "figures", data, predictions.info.model, parts, cases, rows, surface), params.curves)
    for note in notes:
        job.say(note)
    frames = sum(item.frames for item in {item.id: item for item in measured if item.row == NEUTRAL}.values())
    chosen = report.headlines(rows[MODEL])
    job.say(f"{len(cases)} sequences, {frames} frames; {', '.join(chosen.values())}; all others are in metrics.json")
    job.say(report.table(rows, data.units))
    if tests:
        job.say(report.paired_table(tests, every, data.units))


def measure_all(job: Job, measurer: Measurer, cases: list[Case]) -> tuple[list[Measured], Surface]:
    """Numbers of all sequences, and the mean over their surfaces."""
    measured: list[Measured] = []

    def surfaces() -> Iterator[Surface]:
        found = measurer.all(cases, job.workers)
        for one in job.track(found, total=len(cases), unit="sequences"):
            if job.stopping():
                raise Interrupted("stopped by the user while predictions were measured; run again to begin anew")
            measured.extend(one.measured)
            yield one.surface

    surface = mean_surface(surfaces())
    return measured, surface
