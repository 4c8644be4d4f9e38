"""The work of the stage `metrics`: choose, measure, write, draw, tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from faces.metrics_definitions import SAID_VISEMES, Definition
from faces.visemes import TABLE, Visemes
from pipeline.stage import Job
from stages.kinds.predictions import Predictions
from stages.kinds.readings import Readings
from stages.kinds.sequences import Sequences
from stages.kinds.synchrony import Synchronies
from stages.metrics import LIPREAD, LIPREAD_AGAINST, LIPSYNC, LIPSYNC_AGAINST, Params, kept, report, texts
from stages.metrics.baselines import training_mean
from stages.metrics.choose import (
    AGAINST,
    MEAN_CODE,
    MEAN_MOTION,
    MODEL,
    NEUTRAL,
    NEUTRAL_CODE,
    TRUTH,
    Case,
    choose,
    notes_on_lengths,
)
from stages.metrics.codes import CodeMeasurer, check_heads, mean_code, rows_of
from stages.metrics.draw import Drawing, draw_all
from stages.metrics.measure import Measured, Measurer
from stages.metrics.read_ahead import read_ahead
from stages.metrics.regions import NO_REGIONS, find_regions
from stages.metrics.samples import best_of, samples_of
from stages.metrics.scores import choose_definitions, score
from stages.metrics.surface import Surface, mean_surface

ROWS = (NEUTRAL, MEAN_MOTION, NEUTRAL_CODE, MEAN_CODE, TRUTH, AGAINST)
"""Behind the model's own."""


def visemes_of(params: Params) -> Visemes:
    """What looks alike, by our table or the user's."""
    dictionary = Path(params.pronunciations) if params.pronunciations else None
    return Visemes.read(Path(params.visemes or TABLE), dictionary)


def readers_of(definitions: Sequence[Definition], read: Readings, visemes: Visemes) -> dict[str, str]:
    """Id of each definition of what an expert reads → who read it how, and by which visemes."""
    also = {SAID_VISEMES: f", visemes {visemes.digest}"}
    return {item.id: read.info.reader + also.get(item.tokens, "") for item in definitions if item.expert}


def evaluate(job: Job, params: Params) -> None:
    """Fill `job.out` with the report."""
    data, predictions = Sequences(job.inputs["data"].path), Predictions(job.inputs["predictions"].path)
    against = Predictions(job.inputs["against"].path) if AGAINST in job.inputs else None
    track = predictions.info.track
    regions = NO_REGIONS if track else find_regions(data, params)
    slots = {MODEL: LIPREAD, AGAINST: LIPREAD_AGAINST}
    read = {row: Readings(job.inputs[slot].path) for row, slot in slots.items() if slot in job.inputs}
    slots = {MODEL: LIPSYNC, AGAINST: LIPSYNC_AGAINST}
    scored = {row: Synchronies(job.inputs[slot].path) for row, slot in slots.items() if slot in job.inputs}
    cases = choose(data, predictions, against, params.splits, read, scored)
    parts = regions.parts(data)
    definitions, left_out = choose_definitions(params, parts, cases, track)
    diverse = any(item.measure.startswith("diversity") for item in definitions)
    visemes = visemes_of(params) if read else None
    readers = readers_of(definitions, read[MODEL], visemes) if MODEL in read and visemes else {}
    if MODEL in scored:
        readers |= {item.id: scored[MODEL].info.who for item in definitions if item.synchrony}
    measurer: Measurer | CodeMeasurer
    if track:
        codes = rows_of(data, track)
        check_heads(codes, [predictions, *([] if against is None else [against])])
        measurer = CodeMeasurer(data, codes, mean_code(data, codes), diverse)
    else:
        measurer = Measurer(data, parts, training_mean(data, job.workers), diverse, params.lip_threshold, visemes)
    measured, surface = measure_all(job, measurer, cases)
    samples, best = samples_of(measured), best_of(measured, definitions)
    measured = [*measured, *best]
    order = [MODEL, *filter(None, [samples.row]), *ROWS]
    every = {row: score(measured, row, definitions) for row in order}
    rows = {row: scores for row, scores in every.items() if scores and row != AGAINST}
    tests = report.paired_facts(every, against, data.units) if against else None
    notes = [*regions.notes, *notes_on_lengths(cases), *left_out]
    report.write_numbers(
        job.out / "metrics.json", data, predictions.info.model,
        report.numbers(rows, regions, data.units, params.lip_threshold, readers, samples),
        splits=sorted({case.split for case in cases}), notes=notes, tests=tests, samples=samples, track=track,
    )  # fmt: skip
    report.write_csv(job.out / "per_sequence.csv", measured, definitions, regions, params.lip_threshold)
    readings = texts.readings(cases)
    if readings:
        texts.write(job.out / texts.FILE, readings)
    by_expert = texts.readings_of_expert(cases)
    if by_expert:
        texts.write_read(job.out / texts.EXPERT_FILE, by_expert, read[MODEL].info.modality)
    if params.figures:
        over = regions.captions(definitions)
        draw_all(
            Drawing(job.out / "figures", data, predictions.info.model, parts, over, cases, rows, surface), params.curves
        )
    for note in notes:
        job.say(note)
    still = NEUTRAL_CODE if track else NEUTRAL
    frames = sum(item.frames for item in {item.id: item for item in measured if item.row == still}.values())
    chosen = report.headlines(rows[MODEL])
    job.say(f"{len(cases)} sequences, {frames} frames; {', '.join(chosen.values())}; all others are in metrics.json")
    shown = {row: every[row] for row in (MODEL, AGAINST) if every[row]} | rows
    job.say(report.table(shown, regions, data.units, params.lip_threshold, readers))
    if readings:
        job.say(texts.excerpt(readings))
    if by_expert:
        job.say(texts.excerpt(by_expert, texts.EXPERT_FILE))
    if tests:
        job.say(report.paired_table(tests, every, data.units))


def measure_all(
    job: Job, measurer: Measurer | CodeMeasurer, cases: list[Case]
) -> tuple[list[Measured], Surface | None]:
    """Numbers of all sequences, and the mean over their surfaces, which codes have not."""
    folder = job.out / kept.FOLDER
    folder.mkdir(exist_ok=True)
    named = {case.id: case for case in cases}
    waiting = [case for case in cases if case.id not in job.taken_over(named)]
    later = dict(zip((case.id for case in waiting), waiting[job.workers :], strict=False))

    def measure(name: str) -> list[Path]:
        if name in later:  # the disk works on what comes next while this one is summed up
            read_ahead(measurer.files(later[name]))
        return kept.write(folder, name, measurer.measure(named[name]))

    job.each(list(named), measure, threads=job.workers)
    measured = [one for name in named for one in kept.numbers(folder, name)]
    if isinstance(measurer, CodeMeasurer):
        return measured, None
    return measured, mean_surface(kept.surface(folder, name) for name in named)
