"""The gradient of the mouth video: against finite differences, and what is left of it where light has none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from faces.mouth.camera import VOCASET, Window
from faces.mouth.light import normals_of_seen
from faces.mouth.renderer import MouthRenderer, ShadingGradient
from faces.mouth.surface import interpolate
from faces.mouth.visibility import Backend, visible
from faces.normals import vertex_normals
from tests.faces.mouth.scenes import camera_of_talker, faces_of_talker, golden_head, opening_mouth
from tests.threads import one_thread

__all__ = ["one_thread"]

STEP = 1e-9
"""Larger ones meet the curvature of slivers."""


Scene = Callable[..., tuple[Tensor, MouthRenderer]]


def golden(**how: Any) -> tuple[Tensor, MouthRenderer]:
    vertices, faces = golden_head()
    return vertices.double(), MouthRenderer(faces, VOCASET, **how)


def talking(**how: Any) -> tuple[Tensor, MouthRenderer]:
    return opening_mouth().double(), MouthRenderer(faces_of_talker(), camera_of_talker(), **how)


every_scene = pytest.mark.parametrize("scene", [golden, talking])
every_backend = pytest.mark.parametrize("backend", ["numba", "torch"])


def weight_of(video: Tensor) -> Tensor:
    return torch.randn(video.shape, dtype=video.dtype, generator=torch.Generator().manual_seed(0))


def gradient(vertices: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    leaf = vertices.clone().requires_grad_()
    video = function(leaf)
    (found,) = torch.autograd.grad((video * weight_of(video.detach())).sum(), leaf)
    return found


@every_scene
@every_backend
def test_finite_differences_where_what_is_seen_stays(scene: Scene, backend: Backend) -> None:
    vertices, renderer = scene(backend=backend)
    owner = renderer.visible(vertices)
    weight = weight_of(renderer.draw(vertices, owner))
    slope = gradient(vertices, renderer)
    generator = torch.Generator().manual_seed(1)
    for _ in range(8):
        direction = torch.randn(vertices.shape, dtype=torch.float64, generator=generator)
        direction /= direction.norm()
        there, back = vertices + STEP * direction, vertices - STEP * direction
        assert torch.equal(renderer.visible(there), renderer.visible(back))
        difference = ((renderer(there) - renderer(back)) * weight).sum() / (2 * STEP)
        assert abs(difference - (slope * direction).sum()) < 1e-3 * slope.norm()


@every_scene
@every_backend
def test_finite_differences_along_the_gradient(scene: Scene, backend: Backend) -> None:
    # Along the gradient the difference is the whole norm, so that a wrong factor cannot hide.
    vertices, renderer = scene(backend=backend)
    owner = renderer.visible(vertices)
    slope = gradient(vertices, lambda moved: renderer.draw(moved, owner))
    there, back = (renderer.draw(vertices + sign * STEP * slope / slope.norm(), owner) for sign in (1, -1))
    difference = ((there - back) * weight_of(there)).sum() / (2 * STEP)
    assert float(difference) == pytest.approx(float(slope.norm()), rel=1e-3)


@every_scene
@pytest.mark.parametrize("shading_gradient", ["attached", "detached"])
@pytest.mark.parametrize("least_normal", [1e-12, 1e-5])
def test_the_compiled_gradient_is_that_of_autograd(
    scene: Scene, shading_gradient: ShadingGradient, least_normal: float
) -> None:
    # 1e-5 is more than the areas around many a vertex, so that their normals stay short.
    made = {backend: scene(backend=backend, shading_gradient=shading_gradient) for backend in ("numba", "torch")}
    for _, renderer in made.values():
        renderer.camera = replace(renderer.camera, least_normal=least_normal)
    (vertices, compiled), (_, plain) = made.values()
    torch.testing.assert_close(compiled(vertices), plain(vertices), atol=1e-12, rtol=0)
    one, two = gradient(vertices, compiled), gradient(vertices, plain)
    assert (one - two).norm() < 1e-9 * two.norm()
    single, whole = gradient(vertices.float(), compiled), gradient(vertices.float(), plain)
    if shading_gradient == "attached":  # what is left of the other is made of rounding
        assert (single - whole).norm() < 1e-5 * whole.norm()


@every_scene
@every_backend
def test_without_the_light_s_gradient_next_to_nothing_is_left(scene: Scene, backend: Backend) -> None:
    vertices, attached = scene(backend=backend)
    _, detached = scene(shading_gradient="detached", backend=backend)
    assert torch.equal(attached(vertices), detached(vertices)), "the pictures are the same"
    whole, left = gradient(vertices, attached), gradient(vertices, detached)
    assert 0 < left.norm() < 1e-2 * whole.norm()


def test_perspective_weights_agree_with_finite_differences() -> None:
    generator = torch.Generator().manual_seed(2)
    screen = torch.randn((2, 60, 3), dtype=torch.float64, generator=generator) * 5
    screen[..., 2] = screen[..., 2].abs() / 5 + 0.5
    attributes = torch.randn((2, 60, 4), dtype=torch.float64, generator=generator)
    faces = torch.randint(0, 60, (80, 3), generator=generator)
    window = Window(-6, -6, 12, 12)
    owner = visible(screen, faces, window, least_area=1.0, least=0.0)
    assert (owner >= 0).float().mean() > 0.5

    def drawn(numbers: Tensor, values: Tensor) -> Tensor:
        return interpolate(numbers, values, faces, owner, window, perspective=True)

    assert torch.autograd.gradcheck(drawn, (screen.requires_grad_(), attributes.requires_grad_()), eps=1e-7)


def test_normals_are_those_of_the_ordinary_renderer() -> None:
    vertices, faces = opening_mouth(2), faces_of_talker()
    found = normals_of_seen(vertices.transpose(0, 1), faces, faces, 1e-20)
    for frame in range(2):
        expected = vertex_normals(vertices[frame].numpy(), faces.numpy())
        torch.testing.assert_close(found[:, frame], torch.from_numpy(expected), atol=2e-5, rtol=0)


def test_only_the_normals_of_wanted_vertices_are_asked_for() -> None:
    vertices, faces = opening_mouth(1).transpose(0, 1), faces_of_talker()
    wanted = faces[100:120]
    few, all_ = (normals_of_seen(vertices, faces, corners, 1e-20) for corners in (wanted, faces))
    assert torch.equal(few[wanted], all_[wanted])


def test_gradients_stay_where_something_is_seen() -> None:
    vertices, renderer = golden()
    corners = renderer.faces[renderer.visible(vertices)[0].unique().long().clamp_min(0)].unique()
    moved = gradient(vertices, renderer)[0].abs().sum(1) > 0
    near = renderer.faces[torch.isin(renderer.faces, corners).any(1)].unique()
    assert moved.any()
    assert not moved[~torch.isin(torch.arange(len(moved)), near)].any()
