"""Normals and the light of the mouth video: five white lamps far away, on a matte grey skin."""

from __future__ import annotations

import torch
from torch import Tensor

ALBEDO = 180 / 255
INTENSITY = 1.7
LAMPS = ((-1, 1, 1), (1, 1, 1), (-1, -1, 1), (1, -1, 1), (0, 0, 1))
"""Towards each lamp; each counts a fifth."""


def normals_of_seen(vertices: Tensor, faces: Tensor, corners: Tensor, least: float) -> Tensor:
    """(V, T, 3): the normals of the vertices `corners`, the others' zero or unfinished.

    The mean of the adjacent triangles' normals, weighted by area, of length 1; shorter where the sum, which is as long
    as their doubled areas, is below `least`. vertices: (V, T, 3). faces: (F, 3) counter-clockwise seen from outside.
    A window shows a third of a head at most, so that only its triangles are looked at.
    """
    wanted = torch.zeros(len(vertices), dtype=torch.bool, device=vertices.device)
    wanted[corners.reshape(-1)] = True
    near = faces[wanted[faces].any(dim=1)].t()
    first, second, third = (vertices.index_select(0, corner) for corner in near)
    u, w = second - first, third - first
    across = torch.linalg.cross(u, w)
    sums = torch.zeros_like(vertices)
    for corner in near:
        sums = sums.index_add(0, corner, across)
    return torch.nn.functional.normalize(sums, dim=-1, eps=least)


def shade(normals: Tensor) -> Tensor:
    """(P,) light that comes back from a skin of albedo 1. normals: (P, 3), taken as they are, of length 1 at most.

    Written out: a matrix product would be one in half precision where a gradient is taken under autocast.
    """
    x, y, z = normals.unbind(dim=1)
    light = torch.zeros_like(x)
    for right, up, near in LAMPS:
        length = (right**2 + up**2 + near**2) ** 0.5
        light = light + ((right * x + up * y + near * z) / length).clamp(0, 1)
    return light * (INTENSITY / len(LAMPS))
