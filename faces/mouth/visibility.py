"""Which triangle is seen where: the z-buffer, without gradient, for the frames of a clip.

Numba on the processor, PyTorch on anything else and where Numba is absent; both give the same triangles. A triangle is
seen from both sides. A sample whose centre lies on an edge belongs to it, so that edges between triangles are no holes
(in the published rasteriser a centre exactly on one is).
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faces.errors import DataError
from faces.mouth import torch_visibility
from faces.mouth.camera import Window
from faces.mouth.shares import in_shares

Backend = Literal["auto", "numba", "torch"]
FAR = 1e6
"""Coordinates are cut to this many pixels, so that nothing that is computed of them is infinite."""


def visible(
    screen: Tensor,
    faces: Tensor,
    window: Window,
    *,
    least_area: float = 1e-6,
    least: float = -np.inf,
    backend: Backend = "auto",
) -> Tensor:
    """(T, height, width) int32 on the same device: the triangle that is seen in each pixel, -1 for none.

    screen: (T, V, 3) pixels right and down of the picture's middle, and what grows towards the eye and is linear in the
    picture: z in an orthographic one, 1 / distance in perspective. faces: (F, 3) integers. Of equally near triangles
    the first is seen. Left out are those of a doubled area below least_area square pixels, and those with a corner
    whose third number is not above `least` or of which one is NaN. With Numba, frames are shared out over as many
    threads as PyTorch has.
    """
    given = screen.detach().to(torch.float32)
    cut = given.clamp(-FAR, FAR)
    cut[..., 2].masked_fill_((given[..., 2] == -np.inf) | given.isnan().any(dim=-1), -np.inf)
    if chosen(backend, screen) == "torch":
        return torch_visibility.visible(cut, faces.long(), window, least_area, least)
    if len(faces) and not 0 <= int(faces.min()) <= int(faces.max()) < screen.shape[1]:
        raise DataError(
            f"the triangles name other vertices than the {screen.shape[1]} of the mesh; use its own topology"
        )
    arrays = cut.cpu().contiguous().numpy(), faces.cpu().to(torch.int32).contiguous().numpy()
    return torch.from_numpy(_compiled(*arrays, window, least_area, least)).to(screen.device)


def chosen(backend: Backend, tensor: Tensor) -> Literal["numba", "torch"]:
    """The back end for a tensor. DataError where Numba is asked for and is not there."""
    if backend == "auto":
        return "numba" if tensor.device.type == "cpu" and has_numba() else "torch"
    if backend == "numba" and not has_numba():
        raise DataError("the back end numba cannot be used: numba is not installed; install it or choose torch")
    return backend


@cache
def has_numba() -> bool:
    """Whether the compiled loops can be had."""
    return find_spec("numba") is not None


def _compiled(
    screen: NDArray[np.float32], faces: NDArray[np.int32], window: Window, least_area: float, least: float
) -> NDArray[np.int32]:
    from faces.raster.numba_kernels import exactly_visible

    shape = (window.height, window.width)
    owner = np.full((len(screen), *shape), -1, np.int32)
    numbers = [np.float32(number) for number in (window.left, window.top, least_area, least)]

    def some(frames: range) -> None:
        depth = np.empty(shape, np.float32)
        for frame in frames:
            depth[:] = least
            exactly_visible(screen[frame], faces, depth, owner[frame], *numbers)

    in_shares(len(screen), some)
    return owner
