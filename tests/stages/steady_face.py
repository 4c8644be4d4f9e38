"""A talking face that draws no random numbers while it trains, so that several processes train it as one does.

FACE_EVENT="RANK CALL SIGNAL" lets a process send itself a signal at that call of its losses; "RANK CALL fail" lets it
fail; "RANK CALL refuse" is an error that explains itself.
"""

from __future__ import annotations

import os
import signal
from typing import ClassVar

import torch.distributed as dist
from torch import Tensor

from faces.errors import DataError
from models.talking_face import Clips, DataFacts
from tests.stages.fake_face import FakeFace, Settings

NAME = "tests.stages.steady_face"
EVENT = "FACE_EVENT"

__all__ = ["Settings"]


class SteadyFace(FakeFace):
    name: ClassVar[str] = NAME

    @classmethod
    def build(cls, settings: Settings, facts: DataFacts) -> SteadyFace:
        return cls(settings, facts)

    def losses(self, clips: Clips) -> dict[str, Tensor]:
        self.calls += 1
        happen(self.calls)
        loss = self._losses(clips, 0.0)
        return {"loss": loss, "vertices": loss.detach()}


def happen(call: int) -> None:
    rank, at, what = os.environ.get(EVENT, "-1 0 nothing").split()
    if (int(rank), int(at)) != (dist.get_rank() if dist.is_initialized() else 0, call):
        return
    if what == "refuse":
        raise DataError("this clip cannot be learned from")
    if what == "fail":
        raise RuntimeError("a defect")
    os.kill(os.getpid(), signal.Signals[what])


def network() -> type[SteadyFace]:
    return SteadyFace
