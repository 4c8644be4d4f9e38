"""Talking heads made by this project: no licence attached, no download, any number of them.

A parametric head with FLAME's vertex count speaks random phoneme strings; each subject has its own shape and manner.
The heads are written in VOCASET's raw layout and read by VOCASET's reader, so that a run on them walks the real road.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pipeline.stage import Job, Sources, param
from stages.kinds.card import Source


@dataclass(frozen=True)
class Settings:
    """How many talkers, how much speech."""

    subjects: int = param(6, low=3, high=99, help="how many talkers; a sixth each, at least one, validates and tests")
    sentences: int = param(12, low=1, high=99, help="sentences of a training subject; the others speak the second half")
    seconds: float = param(4.0, low=0.6, high=600.0, help="about how long a sentence is, in seconds")
    data_seed: int = param(0, low=0, help="what the talkers and their sentences are drawn from")
    noise: float = param(2e-5, low=0.0, high=1e-3, help="standard deviation of the capture noise, in metres")
    one_voice: bool = param(
        False, help="all talkers have one voice: who speaks, and in what manner, is then seen and never heard"
    )

    native_fps: ClassVar[float] = 60.0
    source: ClassVar[Source] = Source(
        title="Synthetic talking heads",
        citation="made by facepipe",
        url="part of facepipe",
        licence="Apache-2.0",
        terms="any use; figures on it say that the machinery works, and nothing about a paper",
    )

    def sources(self) -> Sources:
        return Sources()

    def prepare(self, job: Job, *, step: int, limit: int) -> None:
        from stages.preprocess.synthetic.produce import produce

        produce(self, job, step=step, limit=limit)
