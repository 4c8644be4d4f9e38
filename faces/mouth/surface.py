"""What a surface has at the pixels in which it is seen: barycentric weights and what they mix, with gradients.

The triangle of each pixel is given and has no gradient; the weights have one to the corners' positions in the picture,

    w0 = edge(p, v1, v2) / (A + ε),  w1 = edge(p, v2, v0) / (A + ε),  w2 = edge(p, v0, v1) / (A + ε),
    edge(p, a, b) = (p_x - a_x) (b_y - a_y) - (p_y - a_y) (b_x - a_x),  A = edge(v2, v0, v1),

with the guard ε of the published rasteriser. Tensors of a mesh are (V, T, …) here: one vertex's frames side by side, so
that gathering and scattering move long rows.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from faces.mouth.camera import Window


class Hits(NamedTuple):
    """The P pixels of a clip in which something is seen. place: (P,) in its T · height · width pixels. frame: (P,).

    right, down: (P,) pixel centres from the picture's middle. corners: (3, P) vertices.
    """

    place: Tensor
    frame: Tensor
    right: Tensor
    down: Tensor
    corners: Tensor


def hits(owner: Tensor, faces: Tensor, window: Window, dtype: torch.dtype) -> Hits:
    """owner: (T, height, width) triangles, -1 for none, of `visible`. faces: (F, 3) int64."""
    flat = owner.reshape(-1)
    place = torch.nonzero(flat >= 0).flatten()
    line = place.div(window.width, rounding_mode="floor")
    frame = line.div(window.height, rounding_mode="floor")
    right = (place - line * window.width).to(dtype) + (window.left + 0.5)
    down = (line - frame * window.height).to(dtype) + (window.top + 0.5)
    return Hits(place, frame, right, down, faces.index_select(0, flat[place].long()).t().contiguous())


def weights(screen: Tensor, seen: Hits, guard: float, perspective: bool = False) -> list[Tensor]:
    """The three (P,) weights. screen: (V, T, 3) as `visible` has it, third 1 / distance where perspective."""
    numbers = screen.reshape(-1, 3)
    index = seen.corners * screen.shape[1] + seen.frame
    corners = numbers.index_select(0, index.reshape(-1)).view(3, -1, 3)
    (x0, y0, z0), (x1, y1, z1), (x2, y2, z2) = (corner.unbind(1) for corner in corners.unbind(0))
    inverse = 1 / ((x2 - x0) * (y1 - y0) - (y2 - y0) * (x1 - x0) + guard)
    found = [
        ((seen.right - ax) * (by - ay) - (seen.down - ay) * (bx - ax)) * inverse
        for ax, ay, bx, by in ((x1, y1, x2, y2), (x2, y2, x0, y0), (x0, y0, x1, y1))
    ]
    if not perspective:
        return found
    pulled = [weight * nearness for weight, nearness in zip(found, (z0, z1, z2), strict=True)]
    total = pulled[0] + pulled[1] + pulled[2]
    return [each / total for each in pulled]


def mixed(values: Tensor, seen: Hits, shares: list[Tensor]) -> Tensor:
    """(P, D) of values (V, T, D) at the corners."""
    rows = values.reshape(-1, values.shape[-1])
    index = seen.corners * values.shape[1] + seen.frame
    first, second, third = (share[:, None] * rows.index_select(0, at) for share, at in zip(shares, index, strict=True))
    return first + second + third


def interpolate(
    screen: Tensor,
    attributes: Tensor,
    faces: Tensor,
    owner: Tensor,
    window: Window,
    *,
    guard: float = 0.0,
    perspective: bool = False,
) -> Tensor:
    """(T, D, height, width): attributes of the vertices at the pixels in which their triangles are seen, 0 elsewhere.

    screen: (T, V, 3), attributes: (T, V, D), with gradients to both. owner: of `visible`. guard: ε above. perspective:
    third of `screen` is 1 / distance, and the weights are those on the surface in space, not in the picture.
    """
    seen = hits(owner, faces, window, screen.dtype)
    shares = weights(screen.transpose(0, 1), seen, guard, perspective)
    values = mixed(attributes.transpose(0, 1), seen, shares)
    picture = values.new_zeros(owner.numel(), values.shape[1]).index_put((seen.place,), values)
    return picture.view(*owner.shape, -1).permute(0, 3, 1, 2)
