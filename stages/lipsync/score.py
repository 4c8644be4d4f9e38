"""The work of the stage `lipsync`: pictures and sound of each sentence to numbers, their means, and what is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from models.syncnet.timing import CUT, LEAST_WINDOWS, PICTURES_PER_SECOND
from pipeline.errors import StageError
from pipeline.stage import Job
from stages.audio import speech
from stages.kinds.readings import digest_of
from stages.kinds.sequences import Sequences
from stages.kinds.synchrony import NEUTRAL, PREDICTED, TRUTH, Info, Mean, Score, read_score, write_index, write_score
from stages.lipsync import Params
from stages.lipsync.judge import Judge
from stages.lipsync.made import Made
from stages.processor import set_up

TOO_SHORT = (
    f"shorter than {LEAST_WINDOWS} windows of sound and pictures, "
    f"{1000 * (LEAST_WINDOWS + CUT) // PICTURES_PER_SECOND} ms"
)


def score(job: Job, params: Params) -> None:
    """Fill `job.out` with scores."""
    set_up(job.workers)
    data = Sequences(job.inputs["data"].path)
    made = Made.of(job, data)
    wanted = made.wanted(params.splits)
    weights = Path(params.weights)
    judge = Judge(weights, job.device, data.fps)
    true = [name for name in wanted if params.truth and made.has_truth(name)]
    for part in (PREDICTED, TRUTH, NEUTRAL):
        (job.out / part).mkdir(exist_ok=True)

    def make(name: str) -> list[Path]:
        wave = speech(data.wav(name))
        shown = [(PREDICTED, one, made.predicted(one)) for one in wanted[name]]
        if name in true:
            shown.append((TRUTH, name, made.truth(name)))
        scores = [(part, one, judge.score(it.film, wave, it.frames, it.motion)) for part, one, it in shown]
        subject, frames = made.items[wanted[name][0]].subject, shown[-1][2].frames
        still = made.studio.of_rest(subject, name)
        scores.append((NEUTRAL, name, judge.score_still(still, wave, frames, data.template_digests[subject])))
        return [write_score(job.out, part, one, found) for part, one, found in scores]

    job.each(list(wanted), make)
    _finish(job, made, digest_of(weights), wanted, true)


def _finish(job: Job, made: Made, scorer: str, wanted: Mapping[str, Sequence[str]], true: Sequence[str]) -> None:
    """Write the index and tell. StageError where nothing has a score."""
    groups = {
        PREDICTED: [[read_score(job.out, PREDICTED, name) for name in names] for names in wanted.values()],
        TRUTH: [[read_score(job.out, TRUTH, name)] for name in true],
        NEUTRAL: [[read_score(job.out, NEUTRAL, name)] for name in wanted],
    }
    means = {which: _mean(found) for which, found in groups.items() if found}
    if not means[PREDICTED].sequences:
        raise StageError(f"{made.source.path} has no prediction that can be scored: all are {TOO_SHORT}")
    names = sorted(name for some in wanted.values() for name in some)
    write_index(job.out, Info(scorer, made.kind, made.source.info.model, names, true, list(wanted), means))
    for which, mean in means.items():
        if mean.lse_d is not None:
            job.say(f"{which}: LSE-D {mean.lse_d:.3f}, LSE-C {mean.lse_c:.3f} over {mean.sequences} sentences")
    if short := sum(one.lse_d is None for found in groups[PREDICTED] for one in found):
        job.say(f"{short} of {len(names)} predictions have no score: they are {TOO_SHORT}")


def _mean(found: Sequence[Sequence[Score]]) -> Mean:
    """Of each sentence first."""
    scores = [[one for one in some if one.lse_d is not None] for some in found]
    scored = [some for some in scores if some]
    if not scored:
        return Mean(None, None, 0)
    near = np.mean([np.mean([one.lse_d for one in some]) for some in scored])
    sure = np.mean([np.mean([one.lse_c for one in some]) for some in scored])
    return Mean(float(near), float(sure), len(scored))
