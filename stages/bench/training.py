"""Steps of the real training loop, timed one by one."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from models.motion_prior import MotionPrior
from models.settings import Wants
from models.talking_face import DataFacts, TalkingFace
from stages.bench import Task
from stages.bench.job import TimedJob
from stages.bench.memory import peaks, reset_peaks
from stages.bench.synthetic import read_clips, write_clips
from stages.bench.utilisation import Utilisation
from stages.train import Params
from stages.train.clips import NOTHING

WARM_UP = 1
"""Steps that are not counted: the first one makes room for gradients and for the optimiser's means."""
CLIP_SECONDS = {"official": 4.0, "small": 1.0}


@dataclass(frozen=True)
class Subject:
    """What is trained: a network with its facts, the prior behind it, whose codes it is given, and what it wants."""

    network: TalkingFace
    facts: DataFacts
    prior: MotionPrior | None = None
    wants: Wants = NOTHING


def figures_of(subject: Subject, task: Task, batch: int, repeats: int) -> dict[str, Any]:
    """Training of so many clips a step, all of one length: a row of the table."""
    length = CLIP_SECONDS[task.wish.size]
    params = Params(model=task.model, epochs=1, batch_size=batch, precision=task.precision, save_every=1e9)
    reset_peaks(task.wish.device)
    with Utilisation(task.wish.device) as used:
        job = time_steps(subject, [length] * (batch * (WARM_UP + repeats)), params, task.wish.device)
    seconds = median(durations(job)[WARM_UP:])
    row = {
        "batch": batch,
        "clip_seconds": length,
        "step_seconds": seconds,
        "steps_per_second": 1 / seconds,
        "clips_per_second": batch / seconds,
        **peaks(task.wish.device),
    }
    busy = used.mean(since=job.marks[WARM_UP][0])
    return row if busy is None else row | {"gpu_utilisation": busy}


def time_steps(subject: Subject, lengths: Sequence[float], params: Params, device: str) -> TimedJob:
    """Train on made-up clips of these lengths, in seconds. The job's marks tell when each step was done."""
    from stages.train.trainer import Trainer

    with tempfile.TemporaryDirectory(prefix="pipe-bench-") as name:
        folder = Path(name)
        write_clips(folder, subject.facts, lengths, subject.prior)
        job = TimedJob.under(folder, device=device)
        clips = read_clips(folder, subject.wants)
        Trainer(job, subject.network, clips, params).fit()
        if clips.features is not None:
            clips.features.close()
    return job


def durations(job: TimedJob) -> list[float]:
    """Wall time of each step, in seconds."""
    return [after[0] - before[0] for before, after in zip(job.marks[:-1], job.marks[1:], strict=True)]
