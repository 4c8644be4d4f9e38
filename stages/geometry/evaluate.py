"""The work of the stage `geometry`: choose, measure, write, tell."""

from __future__ import annotations

import numpy as np

from faces.geometry_definitions import FACE, geometry_definitions
from faces.region_registry import identify
from pipeline.errors import StageError
from pipeline.registry import nearest
from pipeline.stage import Job
from stages.geometry import ALL, TRUTH, Params
from stages.geometry.cases import Truth, choose
from stages.geometry.measure import AGAIN, Measurer
from stages.kinds.head import METRES
from stages.kinds.sequences import Sequences
from stages.kinds.surfaces import Surfaces, check_alike
from stages.metrics import kept, report
from stages.metrics.choose import MODEL, NEUTRAL
from stages.metrics.regions import NO_REGIONS, Region, Regions
from stages.metrics.samples import best_of, samples_of
from stages.metrics.scores import score


def evaluate(job: Job, params: Params) -> None:
    """Fill `job.out` with the report."""
    data, surfaces = Sequences(job.inputs["data"].path), Surfaces(job.inputs["surfaces"].path)
    other = Surfaces(job.inputs[TRUTH].path) if TRUTH in job.inputs else None
    for made in filter(None, (surfaces, other)):
        check_alike(data, made)
    if data.units not in METRES:
        raise StageError(
            f"{data.path} is in {data.units}, which are no lengths: distances between surfaces say nothing"
        )
    regions, truth = regions_of(data, params.region), Truth(data, other)
    cases = choose(data, surfaces, truth, params.splits)
    mask = None
    if regions.found:
        mask = np.zeros(data.info.vertices, np.bool_)
        mask[regions[FACE]] = True
    measurer = Measurer(data, surfaces, truth, params.points, params.every, mask, 1000 * METRES[data.units])
    folder = job.out / kept.FOLDER
    folder.mkdir(exist_ok=True)
    named = {case.id: case for case in cases}
    job.each(list(named), lambda name: kept.write(folder, name, measurer.measure(named[name])), threads=job.workers)
    measured = [one for name in named for one in kept.numbers(folder, name)]
    definitions = geometry_definitions(params.points, params.every, region=mask is not None)
    samples = samples_of(measured)
    measured = [*measured, *best_of(measured, definitions)]
    every = {row: score(measured, row, definitions) for row in filter(None, (MODEL, samples.row, NEUTRAL, AGAIN))}
    rows = {row: scores for row, scores in every.items() if scores}
    against = "the data's meshes" if other is None else f"surfaces of {other.info.model}"
    notes = [f"held against {against}"]
    report.write_numbers(
        job.out / "metrics.json", data, surfaces.info.model,
        report.numbers(rows, regions, data.units, samples=samples),
        splits=sorted({case.split for case in cases}), notes=notes, tests=None, samples=samples,
    )  # fmt: skip
    report.write_csv(job.out / "per_sequence.csv", measured, definitions, regions)
    frames = sum(one.frames for one in measured if one.row == MODEL)
    job.say(f"{len(cases)} sequences, {frames} frames against {against}; all numbers are in metrics.json")
    job.say(report.table(rows, regions, data.units))


def regions_of(data: Sequences, name: str) -> Regions:
    """The region that is looked at. StageError where the data have none of that name."""
    if name == ALL:
        return NO_REGIONS
    indices = data.region(name)
    if indices is None:
        known = data.region_names
        there = f"it has {', '.join(known)}" if known else "it has none"
        raise StageError(f"{data.path} has no region {name!r}; {there}.{nearest(name, known)}")
    return Regions({FACE: Region(name, indices, identify(indices, data.info.vertices))}, ())
