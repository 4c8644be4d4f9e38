"""The synthetic talking heads in BIWI's size and raw layout: 23,370 vertices, 25 frames per second, `.vl` files.

No licence attached, no download. The heads are written as the corpus stores its own, y downwards and in millimetres,
and read by BIWI's reader, normalised as BIWI is, so that a run on them walks the real road.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pipeline.stage import Job, Sources, param
from stages.kinds.card import Source
from stages.preprocess import synthetic


@dataclass(frozen=True)
class Settings:
    """How many talkers, how much speech, and how the heads are normalised."""

    subjects: int = param(4, low=2, high=99, help="how many talkers; a third, at least one, is not trained on")
    sentences: int = param(12, low=3, high=99, help="of a training subject; a tenth each for val and test-a")
    seconds: float = param(3.0, low=0.6, high=600.0, help="about how long a sentence is, in seconds")
    data_seed: int = param(0, low=0, help="what the talkers and their sentences are drawn from")
    noise: float = param(2e-5, low=0.0, high=1e-3, help="standard deviation of the capture noise, in metres")
    normalise: str = param(
        "frame",
        choices=("frame", "template"),
        help="frame: each frame by itself, as published for BIWI; template: all of a subject by its template",
    )

    native_fps: ClassVar[float] = 25.0
    source: ClassVar[Source] = synthetic.Settings.source

    def sources(self) -> Sources:
        return Sources()

    def prepare(self, job: Job, *, step: int, limit: int) -> None:
        from stages.preprocess.synthetic_biwi.produce import produce

        produce(self, job, step=step, limit=limit)
