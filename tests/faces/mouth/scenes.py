"""Meshes and clips for the tests of the mouth's renderer."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from faces.mouth.camera import MouthCamera
from stages.preprocess.synthetic.motion import CONTROLS
from stages.preprocess.synthetic.subjects import Subject, draw_subject
from tests.golden.case import read_case
from tests.golden.test_golden import CASES


@cache
def talker() -> Subject:
    """A synthetic subject of FLAME's size; do not write to it."""
    return draw_subject(0, 1)


def camera_of_talker() -> MouthCamera:
    return MouthCamera.fit(talker().template, talker().head.regions["lips"])


def faces_of_talker() -> Tensor:
    return torch.from_numpy(talker().head.faces)


def opening_mouth(frames: int = 3) -> Tensor:
    """(T, V, 3) float32: the jaw opens by 10 degrees, the lips round a little."""
    controls = np.zeros((frames, len(CONTROLS)))
    controls[:, CONTROLS.index("jaw")] = np.linspace(0, 10, frames)
    controls[:, CONTROLS.index("round")] = np.linspace(0, 0.3, frames)
    return torch.from_numpy(talker().pose(controls))


def golden_head() -> tuple[Tensor, Tensor]:
    """Two frames (2, V, 3) of the golden case's head, which hides parts of itself, and its faces."""
    case = read_case(CASES / "avguidance_render.json")
    return torch.from_numpy(case.input("vertices")), torch.from_numpy(case.input("faces"))
