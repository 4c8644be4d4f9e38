"""What a head model is fitted to: heads, blended ones too, and points about frames of theirs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from faces.skin import Skin
from models.nphm.lessons import Lesson
from stages.headfit.frames import Frame
from stages.kinds.sequences import Sequences

FLEXIBLE, STRETCH = 0.6, 0.03
"""How far blended heads go beyond those that they are of, and the standard deviation of their stretching."""
FRAMES_OF_BLEND = 3


@dataclass(frozen=True)
class Pose:
    """A head in an expression, in the model's space. head: its number. rest, vertices: (V, 3). code: (E,), at first."""

    head: int
    rest: NDArray[np.floating]
    vertices: NDArray[np.floating]
    code: NDArray[np.floating]


def poses(
    data: Sequences, frames: Sequence[Frame], scale: float, shift: Sequence[float], blends: int, seed: int
) -> tuple[list[NDArray[np.float64]], list[Pose]]:
    """Heads at rest (V, 3), the training subjects first, and all poses: each head at rest, and the frames.

    A blend is a weighted mean of templates, somewhat beyond them, stretched along each axis, and moves as a frame does.
    """

    def placed(points: NDArray[np.floating]) -> NDArray[np.float64]:
        moved: NDArray[np.float64] = points.astype(np.float64) * scale + np.asarray(shift)
        return moved

    subjects = data.train_subjects
    heads = [placed(data.templates[subject]) for subject in subjects]
    zero = np.zeros_like(frames[0].code)
    found = [Pose(number, head, head, zero) for number, head in enumerate(heads)]
    for frame in frames:
        number = subjects.index(frame.subject)
        found.append(Pose(number, heads[number], placed(frame.vertices(data)), frame.code))
    rng, real = np.random.default_rng([seed, 2]), list(heads)
    for _ in range(blends):
        shares = rng.dirichlet(np.ones(len(real)))
        shares += FLEXIBLE * (shares - shares.mean())
        stretch = 1 + STRETCH * rng.standard_normal(3)
        head: NDArray[np.float64] = np.einsum("s,svc->vc", shares, np.stack(real)) * stretch
        heads.append(head)
        found.append(Pose(len(heads) - 1, head, head, zero))
        for row in rng.choice(len(frames), min(FRAMES_OF_BLEND, len(frames)), replace=False):
            frame = frames[row]
            moved = placed(frame.vertices(data)) - real[subjects.index(frame.subject)]
            found.append(Pose(len(heads) - 1, head, head + moved * stretch, frame.code))
    return heads, found


def about(skin: Skin, pose: Pose, count: int, spread: float, seed: Sequence[int]) -> Lesson:
    """Points about one pose, a lesson of one head, (1, N, …)."""
    found = skin.about(pose.vertices, pose.rest, count, np.random.default_rng(seed), spread=spread)
    return Lesson(*(torch.from_numpy(np.asarray(part, np.float32))[None] for part in found))


def joined(lessons: Iterator[Lesson]) -> Lesson:
    """One lesson of all heads."""
    return Lesson(*(torch.cat(part) for part in zip(*lessons, strict=True)))


def drawn(lesson: Lesson, rows: torch.Tensor, count: int, generator: torch.Generator) -> Lesson:
    """Some points of some heads of a lesson. rows: (B,)."""
    columns = torch.randint(lesson.known.shape[1], (len(rows), count), generator=generator)
    return Lesson(*(part[rows[:, None], columns.to(rows.device)] for part in lesson))
