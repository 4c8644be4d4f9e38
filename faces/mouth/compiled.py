"""The compiled light of a clip as one operation of autograd. It keeps nothing but the vertices and what is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from faces.mouth.camera import MouthCamera, Window
from faces.mouth.light import ALBEDO, INTENSITY, LAMPS
from faces.mouth.shares import in_shares


@dataclass(frozen=True)
class Job:
    """What a clip is drawn with. faces: (F, 3) int64. attached: whether the light has a gradient."""

    faces: Tensor
    camera: MouthCamera
    window: Window
    attached: bool


def light(vertices: Tensor, owner: Tensor, job: Job) -> Tensor:
    """(T, height, width) of float32 or float64 vertices (T, V, 3) on the processor. owner: of `visible`."""
    drawn: Tensor = _Light.apply(vertices, owner, job)
    return drawn


class _Light(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vertices: Tensor, owner: Tensor, job: Job) -> Tensor:
        from faces.mouth.kernels import light as draw

        ctx.save_for_backward(vertices, owner)
        ctx.job = job
        points, seen = vertices.detach().contiguous().numpy(), owner.contiguous().numpy()
        pictures = np.empty(seen.shape, points.dtype)
        given, faces = _given(job, points.dtype), job.faces.numpy()

        def some(frames: range) -> None:
            room = _room(points)
            for frame in frames:
                draw(points[frame], faces, seen[frame], *given, *room, pictures[frame])

        in_shares(len(points), some)
        return torch.from_numpy(pictures)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor, None, None]:
        from faces.mouth.kernels import light_gradient

        vertices, owner = ctx.saved_tensors
        points, seen = vertices.detach().contiguous().numpy(), owner.contiguous().numpy()
        slope, gradients = above[0].contiguous().numpy(), np.empty_like(points)
        given, faces, attached = _given(ctx.job, points.dtype), ctx.job.faces.numpy(), ctx.job.attached

        def some(frames: range) -> None:
            room, more = _room(points), np.empty_like(points[0])
            for frame in frames:
                of_frame = (*room, more, attached, slope[frame], gradients[frame])
                light_gradient(points[frame], faces, seen[frame], *given, *of_frame)

        in_shares(len(points), some)
        return torch.from_numpy(gradients), None, None


def _given(job: Job, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    """Pixel centres, projection, guards and lamps as the kernels take them."""
    camera, window = job.camera, job.window
    lamps = np.array(LAMPS, np.float64)
    arrays = (
        window.left + 0.5 + np.arange(window.width),
        window.top + 0.5 + np.arange(window.height),
        np.array(camera.middle),
        np.array(camera.factors),
    )
    unit = lamps / np.linalg.norm(lamps, axis=1, keepdims=True)
    numbers = (dtype.type(camera.least_area), dtype.type(camera.least_normal))
    return (
        *(a.astype(dtype) for a in arrays),
        *numbers,
        unit.astype(dtype),
        dtype.type(ALBEDO * INTENSITY / len(LAMPS)),
    )


def _room(points: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Which vertices are near, where in the picture they are, lengths, normals: for one frame at a time."""
    count, dtype = points.shape[1], points.dtype
    return np.empty(count, np.bool_), np.empty((count, 2), dtype), np.empty(count, dtype), np.empty((count, 3), dtype)
