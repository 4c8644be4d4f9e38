"""The z-buffer in PyTorch: for a GPU, and where Numba is absent.

All pairs of a triangle and a sample of its box are listed, and one maximum over 64-bit keys finds the nearest: what
grows towards the eye in the high half, the triangle counted down in the low one, so that of ties the first triangle
wins. The operations are those of `faces.raster.numba_kernels`, in their order and rounded one by one, so that both find
the same triangle in every sample. No order of execution has a say in a maximum: the result is the same on every run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from faces.mouth.camera import Window

TINY = 1e-30
"""As in the compiled loops."""
PAIRS = {"cpu": 1 << 18, "cuda": 1 << 24}
"""Triangles, and pairs of one with a sample, that are looked at at once: some 200 bytes each."""
NOTHING = torch.iinfo(torch.int64).min


class Planes(NamedTuple):
    """Of the N triangles whose box holds a sample. frame, face: which. left, top, wide, high: its box in the window.

    The rest (N,) is float32: what the weights of corners 1 and 2 are at the box's first sample and add up to per column
    and row, and z, which grows towards the eye, at the corners.
    """

    frame: Tensor
    face: Tensor
    left: Tensor
    top: Tensor
    wide: Tensor
    high: Tensor
    starts: tuple[Tensor, Tensor]
    slopes: tuple[Tensor, Tensor, Tensor]
    falls: tuple[Tensor, Tensor]
    z: tuple[Tensor, ...]


@torch.no_grad()
def visible(screen: Tensor, faces: Tensor, window: Window, least_area: float, least: float) -> Tensor:
    """(T, height, width) int32: the triangle that is seen in each sample, -1 for none. See `faces.mouth.visibility`.

    screen: (T, V, 3) float32. faces: (F, 3) int64 on the same device.
    """
    limit = PAIRS.get(screen.device.type, PAIRS["cpu"])
    frames = max(1, limit // max(1, len(faces)))
    parts = [_frames(part, faces, window, least_area, least, limit) for part in screen.split(frames)]
    return torch.cat(parts) if parts else screen.new_empty((0, window.height, window.width), dtype=torch.int32)


def _frames(screen: Tensor, faces: Tensor, window: Window, least_area: float, least: float, limit: int) -> Tensor:
    size = window.height * window.width
    best = torch.full((len(screen) * size,), NOTHING, dtype=torch.int64, device=screen.device)
    planes = _planes(screen, faces, window, least_area, least)
    for part in _chunks(planes.wide * planes.high, limit):
        which, column, row, z = _covered(planes, part)
        nearer = z > least
        which, z = which[nearer], z[nearer]
        sample = (planes.top[which] + row[nearer]) * window.width + planes.left[which] + column[nearer]
        key = (_ordered(z) << 32) | (len(faces) - 1 - planes.face[which])
        best.scatter_reduce_(0, planes.frame[which] * size + sample, key, "amax")
    face = len(faces) - 1 - (best & 0xFFFFFFFF)
    return face.where(best != NOTHING, -1).to(torch.int32).view(-1, window.height, window.width)


def _planes(screen: Tensor, faces: Tensor, window: Window, least_area: float, least: float) -> Planes:
    corners = screen[:, faces].reshape(-1, 3, 3)
    low, high, nearness = corners[..., :2].amin(1), corners[..., :2].amax(1), corners[..., 2].amin(1)
    left = torch.ceil(low[:, 0] - window.left - 0.5).clamp_min(0)
    right = torch.floor(high[:, 0] - window.left - 0.5).clamp_max(window.width - 1)
    top = torch.ceil(low[:, 1] - window.top - 0.5).clamp_min(0)
    bottom = torch.floor(high[:, 1] - window.top - 0.5).clamp_max(window.height - 1)
    x, y, z = corners.unbind(-1)
    doubled = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    sound = (nearness > least) & (doubled.abs() >= doubled.new_tensor(least_area))
    chosen = torch.nonzero(sound & (left <= right) & (top <= bottom)).flatten()
    left, right, top, bottom, doubled = (each[chosen] for each in (left, right, top, bottom, doubled))
    (x0, x1, x2), (y0, y1, y2) = x[chosen].unbind(1), y[chosen].unbind(1)
    inverse = doubled.reciprocal()
    slope1, slope2, fall1, fall2 = (y2 - y0) * inverse, (y0 - y1) * inverse, (x0 - x2) * inverse, (x1 - x0) * inverse
    dx, dy = left + window.left + 0.5 - x0, top + window.top + 0.5 - y0
    first_column, first_row = left.long(), top.long()
    return Planes(
        frame=chosen // len(faces),
        face=chosen % len(faces),
        left=first_column,
        top=first_row,
        wide=right.long() - first_column + 1,
        high=bottom.long() - first_row + 1,
        starts=(slope1 * dx + fall1 * dy, slope2 * dx + fall2 * dy),
        slopes=(-slope1 - slope2, slope1, slope2),
        falls=(fall1, fall2),
        z=z[chosen].unbind(1),
    )


def _covered(planes: Planes, part: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Row of `planes`, column and row in its box, and z, of all covered samples of some triangles."""
    counts = planes.wide[part] * planes.high[part]
    which = torch.repeat_interleave(part, counts)
    number = torch.arange(len(which), device=which.device) - (counts.cumsum(0) - counts).repeat_interleave(counts)
    wide = planes.wide[which]
    row = number // wide
    column = number - row * wide
    x, y = column.float(), row.float()
    slopes = tuple(slope[which] for slope in planes.slopes)
    w1, w2 = (start[which] + fall[which] * y for start, fall in zip(planes.starts, planes.falls, strict=True))
    w0 = 1 - w1 - w2
    low, high = torch.zeros_like(x), (wide - 1).float()
    for weight, slope in zip((w0, w1, w2), slopes, strict=True):
        bound = (0 - weight) * slope.reciprocal()
        flat = slope.abs() <= TINY
        low = torch.where(slope > TINY, torch.maximum(low, bound), low)
        high = torch.where(slope < -TINY, torch.minimum(high, bound), high)
        high = torch.where(flat & (weight < 0), -1.0, high)
    inside = (low <= high) & (x >= low.ceil()) & (x <= high.floor())
    z0, z1, z2 = (corner[which] for corner in planes.z)
    step = slopes[0] * z0 + slopes[1] * z1 + slopes[2] * z2
    z = w0 * z0 + w1 * z1 + w2 * z2 + step * x
    return which[inside], column[inside], row[inside], z[inside]


def _chunks(counts: Tensor, limit: int) -> Iterator[Tensor]:
    """Cut the list of triangles where their samples add up to `limit`."""
    marks = counts.cumsum(0) // limit
    cuts = torch.nonzero(marks.diff()).flatten() + 1
    every = torch.arange(len(counts), device=counts.device)
    return iter(torch.tensor_split(every, cuts.cpu()))


def _ordered(z: Tensor) -> Tensor:
    """int64 of 32 bits that sort as the float32 numbers do."""
    bits = (z + 0.0).contiguous().view(torch.int32)  # -0 + 0 is 0: the two zeros are a tie
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).long()
