"""From vertices to the grey video of the mouth that a lip-reading network sees, differentiable in the vertices.

What is seen in a pixel is found first, without gradient; where on its triangle the pixel lies, and how the light falls
there, has one. So a gradient says how what is seen should move and turn. It says nothing of outlines, nor of what would
come into sight: a mouth that opens darkens a pixel only once the triangle there has become another.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from faces.errors import DataError
from faces.mouth import compiled
from faces.mouth.camera import EYE, MouthCamera, Window
from faces.mouth.light import ALBEDO, normals_of_seen, shade
from faces.mouth.surface import hits, mixed, weights
from faces.mouth.visibility import Backend, chosen, visible

ShadingGradient = Literal["attached", "detached"]
GREY = 0.2989 + 0.587 + 0.114
"""What the published weights of red, green and blue make of a grey: 0.9999."""


class MouthRenderer:
    """Draws clips of one topology through one camera.

    faces: (F, 3), counter-clockwise seen from outside. shading_gradient: "attached", or "detached" as the published
    code was released: the light then has no gradient, and what is left is an artefact of a division's guard.
    backend: "numba" on the processor and "torch" elsewhere are "auto"; pictures and gradients are the same up to
    rounding. `chunk` frames are looked at at once. Numba keeps nothing for the gradient but the vertices and which
    triangles are seen; PyTorch, with `recompute`, no more, and then draws each chunk again for the gradient.
    """

    def __init__(
        self,
        faces: NDArray[np.integer] | Tensor,
        camera: MouthCamera,
        *,
        shading_gradient: ShadingGradient = "attached",
        chunk: int = 8,
        recompute: bool = True,
        backend: Backend = "auto",
    ) -> None:
        _check_choice("shading_gradient", shading_gradient, get_args(ShadingGradient))
        _check_choice("backend", backend, get_args(Backend))
        if chunk < 1:
            raise DataError(f"chunk is {chunk}; it must be 1 frame or more")
        self.faces = _checked_faces(faces)
        self.camera = camera
        self.shading_gradient = shading_gradient
        self.chunk = chunk
        self.recompute = recompute
        self.backend: Backend = backend
        self._least_vertices = int(self.faces.max()) + 1

    def __call__(self, vertices: Tensor) -> Tensor:
        """(T, 1, height, width) normalised grey of (T, V, 3) vertices, on their device.

        float32, or float64 of float64; never less, under autocast neither. Gradients flow back to `vertices`.
        DataError for wrong shapes, too few vertices for the triangles, and NaN or infinity.
        """
        with torch.autocast(vertices.device.type, enabled=False):
            exact = self._checked(vertices)
            return self.draw(exact, self.visible(exact))

    @torch.no_grad()
    def visible(self, vertices: Tensor, window: Window | None = None) -> Tensor:
        """(T, height, width) int32: the triangle seen in each pixel of the camera's window or another, -1 for none."""
        self._check_count(vertices)
        frames = max(self.chunk, torch.get_num_threads())
        parts = [self._visible(part, window or self.camera.window) for part in vertices.detach().split(frames)]
        return torch.cat(parts)

    def _visible(self, vertices: Tensor, window: Window) -> Tensor:
        screen = self.camera.project(vertices.to(torch.float32))
        screen[..., 2].masked_fill_(screen[..., 2] >= EYE, -torch.inf)
        faces, area = self._faces_on(vertices), self.camera.least_area
        return visible(screen, faces, window, least_area=area, backend=self.backend)

    def draw(self, vertices: Tensor, owner: Tensor) -> Tensor:
        """(T, 1, height, width): the video of float vertices (T, V, 3) where what is seen is given by `visible`."""
        light = self.light(vertices, owner, self.camera.window)
        return ((light * GREY - self.camera.mean) / self.camera.std)[:, None]

    def light(self, vertices: Tensor, owner: Tensor, window: Window) -> Tensor:
        """(T, height, width): light, 0 … 0.8, of any window, not normalised. owner: `visible` there."""
        self._check_count(vertices)
        if owner.shape != (len(vertices), window.height, window.width) or int(owner.max()) >= len(self.faces):
            raise DataError(
                f"what is seen must be ({len(vertices)}, {window.height}, {window.width}) of {len(self.faces)}"
                f" triangles, not of shape {tuple(owner.shape)} up to {int(owner.max())}; take it from `visible`"
            )
        faces = self._faces_on(vertices)
        if chosen(self.backend, vertices) == "numba":
            job = compiled.Job(faces.cpu(), self.camera, window, self.shading_gradient == "attached")
            return compiled.light(vertices.cpu(), owner.cpu(), job).to(vertices.device)
        keep = not self.recompute or len(vertices) <= self.chunk or not torch.is_grad_enabled()
        parts = zip(vertices.split(self.chunk), owner.split(self.chunk), strict=True)
        frames = [
            self._light(part, seen, faces, window)
            if keep
            else checkpoint(self._light, part, seen, faces, window, use_reentrant=False, preserve_rng_state=False)
            for part, seen in parts
        ]
        return torch.cat(frames)

    def _light(self, vertices: Tensor, owner: Tensor, faces: Tensor, window: Window) -> Tensor:
        seen = hits(owner, faces, window, vertices.dtype)
        points = vertices.transpose(0, 1).contiguous()
        shares = weights(self.camera.project(points), seen, self.camera.least_area)
        normals = mixed(normals_of_seen(points, faces, seen.corners, self.camera.least_normal), seen, shares)
        if self.shading_gradient == "detached":
            normals = normals.detach()
        # The published skin is a texture of one colour: mixed as well, it keeps a gradient through the weights' guard.
        light = ALBEDO * (shares[0] + shares[1] + shares[2]) * shade(normals)
        return light.new_zeros(owner.numel()).index_put((seen.place,), light).view(owner.shape)

    def _checked(self, vertices: Tensor) -> Tensor:
        if vertices.ndim != 3 or vertices.shape[2] != 3 or not vertices.is_floating_point() or not len(vertices):
            raise DataError(
                f"a clip to draw must be (frames, vertices, 3) numbers with a frame at least, not {vertices.dtype} of"
                f" shape {tuple(vertices.shape)}"
            )
        self._check_count(vertices)
        exact = vertices if vertices.dtype == torch.float64 else vertices.to(torch.float32)
        wrong = ~exact.detach().isfinite().all(dim=2)
        if wrong.any():
            frame, vertex = torch.nonzero(wrong)[0].tolist()
            raise DataError(
                f"{int(wrong.sum())} vertices of the clip are NaN or infinite, the first is {vertex} of frame {frame}"
            )
        return exact

    def _check_count(self, vertices: Tensor) -> None:
        """Compiled loops look at no bounds."""
        if vertices.shape[1] < self._least_vertices:
            named, count = self._least_vertices - 1, vertices.shape[1]
            raise DataError(f"the triangles name vertex {named} of a mesh of {count}; use its own topology")

    def _faces_on(self, vertices: Tensor) -> Tensor:
        """The triangles, moved once to where the vertices are."""
        if self.faces.device != vertices.device:
            self.faces = self.faces.to(vertices.device)
        return self.faces


def _checked_faces(faces: NDArray[np.integer] | Tensor) -> Tensor:
    array = torch.as_tensor(faces)
    sound = array.ndim == 2 and array.shape[1] == 3 and len(array) > 0 and not array.is_floating_point()
    if not sound or int(array.min()) < 0:
        raise DataError(
            "triangles must be (F, 3) vertex indices from 0 on, at least one, not an array of shape"
            f" {tuple(array.shape)}"
        )
    return array.to(torch.int64).contiguous()


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise DataError(f"{name} is {value!r}; it must be one of {', '.join(choices)}")
