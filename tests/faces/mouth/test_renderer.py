"""The mouth video as a whole: window and crop, chunks, precision, light by reasoning, and bad input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from faces.errors import DataError
from faces.mouth.camera import BIWI, VOCASET, MouthCamera
from faces.mouth.renderer import MouthRenderer
from tests.faces.mouth.scenes import camera_of_talker, faces_of_talker, golden_head, opening_mouth
from tests.threads import one_thread

__all__ = ["one_thread"]


@pytest.fixture(scope="module")
def clip() -> Tensor:
    return opening_mouth(5)


def renderer(**how: Any) -> MouthRenderer:
    return MouthRenderer(faces_of_talker(), camera_of_talker(), **how)


def with_gradient(made: MouthRenderer, clip: Tensor) -> tuple[Tensor, Tensor]:
    leaf = clip.clone().requires_grad_()
    video = made(leaf)
    video.square().sum().backward()
    assert leaf.grad is not None
    return video.detach(), leaf.grad


def test_a_plane_that_faces_the_viewer_is_as_bright_as_published() -> None:
    plane = torch.tensor([[[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0.0]]])
    video = MouthRenderer(np.array([[0, 1, 2], [0, 2, 3]]), VOCASET)(plane)
    # Four lamps at 1 / √3, one straight ahead.
    light = 1.7 * (4 / 3**0.5 + 1) / 5 * 180 / 255
    torch.testing.assert_close(video, torch.full((1, 1, 88, 88), (0.9999 * light - 0.421) / 0.4), atol=1e-5, rtol=0)
    behind = MouthRenderer(np.array([[0, 2, 1], [0, 3, 2]]), VOCASET)(plane)
    torch.testing.assert_close(behind, torch.full_like(behind, -0.421 / 0.4), atol=1e-6, rtol=0)


def test_light_comes_from_the_published_sides() -> None:
    # Planes turned to the right, left, up and down show the same; each sees two lamps of the corners and the middle's.
    made = MouthRenderer(np.array([[0, 1, 2], [0, 2, 3]]), VOCASET)
    flat = torch.tensor([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0.0]])
    grey = []
    for slope in (torch.tensor(s) for s in ([1.0, 0], [-1.0, 0], [0, 1.0], [0, -1.0])):
        tilted = flat.clone()
        tilted[:, 2] = flat[:, :2] @ slope
        grey.append(float(made(tilted[None])[0, 0, 44, 44]))
    light = 1.7 * (2 * 2 / 6**0.5 + 1 / 2**0.5) / 5 * 180 / 255
    assert grey == pytest.approx([(0.9999 * light - 0.421) / 0.4] * 4, abs=1e-5)


def test_a_triangle_behind_the_eye_is_left_out() -> None:
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    plane = torch.tensor([[[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0.0]]])
    for z, seen in ((1.2499, True), (1.2501, False)):  # 10 half pictures at scale 8
        assert bool((MouthRenderer(faces, VOCASET).visible(plane + torch.tensor([0, 0, z])) >= 0).all()) is seen


@pytest.mark.parametrize("camera", [VOCASET, BIWI, replace(VOCASET, std=0.165)])
def test_a_window_is_a_crop_of_the_whole(camera: MouthCamera) -> None:
    vertices, faces = golden_head()
    if camera is BIWI:
        vertices = vertices * 5
    made = MouthRenderer(faces, camera)
    whole = made.light(vertices, made.visible(vertices, camera.whole), camera.whole)
    crop = whole[:, slice(*camera.rows), slice(*camera.columns)]
    assert crop.max() > 0.5
    assert torch.equal(made(vertices)[:, 0], (crop * 0.9999 - camera.mean) / camera.std)


@pytest.mark.parametrize("chunk", [1, 2, 3, 5])
def test_chunks_with_and_without_drawing_again_change_nothing(clip: Tensor, chunk: int) -> None:
    video, slope = with_gradient(renderer(chunk=8, backend="torch"), clip)
    for recompute in (True, False):
        chunked, found = with_gradient(renderer(chunk=chunk, recompute=recompute, backend="torch"), clip)
        torch.testing.assert_close(chunked, video, atol=1e-6, rtol=0)
        assert (found - slope).norm() < 1e-6 * slope.norm()


def kept_bytes(made: MouthRenderer, clip: Tensor) -> int:
    """What is kept for the gradient, beside the clip and the triangles."""
    sizes = {}

    def note(saved: Tensor) -> Tensor:
        storage = saved.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return saved

    leaf = clip.clone().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(note, lambda saved: saved):
        made(leaf)
    return sum(size for place, size in sizes.items() if place not in (leaf.data_ptr(), made.faces.data_ptr()))


def test_little_is_kept_for_the_gradient() -> None:
    clip = opening_mouth(6)
    whole = kept_bytes(renderer(chunk=1, recompute=False, backend="torch"), clip)
    seen = 4 * 6 * 88 * 88
    assert whole > 30 * seen
    assert kept_bytes(renderer(chunk=1, backend="torch"), clip) <= 2 * seen
    assert kept_bytes(renderer(backend="numba"), clip) <= 2 * seen


def test_threads_share_the_frames(clip: Tensor) -> None:
    video, slope = with_gradient(renderer(), clip)
    torch.set_num_threads(2)
    shared, found = with_gradient(renderer(), clip)
    assert torch.equal(shared, video)
    assert torch.equal(found, slope)


def test_both_back_ends_draw_the_same(clip: Tensor) -> None:
    (video, slope), (other, found) = (with_gradient(renderer(backend=kind), clip) for kind in ("numba", "torch"))
    torch.testing.assert_close(video, other, atol=1e-5, rtol=0)
    assert (slope - found).norm() < 1e-5 * found.norm()


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_lower_precision_is_drawn_in_single(clip: Tensor, backend: str) -> None:
    made = renderer(chunk=2, backend=backend)
    for dtype in (torch.bfloat16, torch.float16):
        low = clip[:1].to(dtype)
        video, slope = with_gradient(made, low)
        assert video.dtype == torch.float32
        assert slope.dtype == dtype
        assert torch.equal(video, made(low.float()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under, slope = with_gradient(made, clip)
    expected, wanted = with_gradient(made, clip)
    assert under.dtype == torch.float32
    assert torch.equal(under, expected)
    assert torch.equal(slope, wanted)


def test_double_precision_is_kept(clip: Tensor) -> None:
    made = renderer()
    exact = made(clip.double())
    assert exact.dtype == torch.float64
    assert (exact - made(clip)).abs().max() < 2e-3


def test_without_gradients_nothing_is_drawn_twice(clip: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faces.mouth.renderer.checkpoint", None)
    with torch.no_grad():
        assert renderer(chunk=2, backend="torch")(clip).shape == (5, 1, 88, 88)


def test_a_mouth_that_opens_changes_the_picture_where_it_is(clip: Tensor) -> None:
    change = (renderer()(clip)[-1, 0] - renderer()(clip)[0, 0]).abs()
    lips, nose = change[42:60, 24:64], change[:16, 24:64]
    assert lips.mean() > 0.2
    assert nose.mean() < 0.01


def test_a_clip_of_another_layout_in_memory_is_the_same(clip: Tensor) -> None:
    turned = clip.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    for backend in ("numba", "torch"):
        video, slope = with_gradient(renderer(backend=backend), clip)
        other, found = with_gradient(renderer(backend=backend), turned)
        assert torch.equal(video, other)
        torch.testing.assert_close(found, slope)


def test_bad_input_is_refused_in_a_sentence(clip: Tensor) -> None:
    made, faces = renderer(), faces_of_talker()
    broken = clip.clone()
    broken[3, 70, 1], broken[4, 0, 0] = torch.nan, torch.inf
    with pytest.raises(DataError, match="2 vertices of the clip are NaN or infinite, the first is 70 of frame 3"):
        made(broken)
    with pytest.raises(DataError, match=r"float32 of shape \(5, 15069\)"):
        made(clip.flatten(1))
    with pytest.raises(DataError, match=r"must be \(frames, vertices, 3\)"):
        made(clip[:0])
    with pytest.raises(DataError, match="int64"):
        made(clip.long())
    with pytest.raises(DataError, match="name vertex 5022 of a mesh of 5000"):
        made(clip[:, :5000])
    seen = made.visible(clip)
    for owner in (seen[:2], seen[:, :40], torch.full_like(seen, len(faces))):
        with pytest.raises(DataError, match=r"what is seen must be \(5, 88, 88\) of \d+ triangles"):
            made.draw(clip, owner)
    with pytest.raises(DataError, match="name vertex 5022 of a mesh of 4000"):
        made.draw(clip[:, :4000], seen)
    for wrong in (faces - 1, faces[:, :2], faces.double(), faces[:0]):
        with pytest.raises(DataError, match=r"triangles must be \(F, 3\) vertex indices"):
            MouthRenderer(wrong, VOCASET)
    with pytest.raises(DataError, match="shading_gradient is 'none'; it must be one of attached, detached"):
        renderer(shading_gradient="none")
    with pytest.raises(DataError, match="backend is 'gl'; it must be one of auto, numba, torch"):
        renderer(backend="gl")
    with pytest.raises(DataError, match="chunk is 0"):
        renderer(chunk=0)
