"""Moving faces as pictures of 25 a second: rates, axes, gradients, cameras."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from faces.camera import UP_AXES
from faces.errors import DataError
from faces.mouth.renderer import MouthRenderer
from models.lipreader.drawn import Drawn
from models.mouth import Mouth
from models.sight import Sight
from stages.sight import sight_of
from tests.stages.mouths import LIPS, MESH, make_faces, motion, template
from tests.threads import one_thread

__all__ = ["one_thread"]

SIGHT = Sight(MESH.faces, template("A").astype(np.float64), LIPS, "y", 25.0, "here")


def mouth(fps: float = 25.0, **facts: object) -> Mouth:
    return Mouth.of(replace(SIGHT, fps=fps, **facts), "fitted", 0.165)  # type: ignore[arg-type]


def ramp(frames: int) -> Tensor:
    """(T, 1): frame numbers."""
    return torch.arange(frames, dtype=torch.float32)[:, None]


@pytest.mark.parametrize(
    ("fps", "frames", "places"),
    [
        (30.0, 6, [0, 1.2, 2.4, 3.6, 4.8]),
        (30.0, 7, [0, 1.2, 2.4, 3.6, 4.8, 6.0]),
        (30.0, 8, [0, 1.2, 2.4, 3.6, 4.8, 6.0, 7.0]),  # 7.2 is behind the last
        (60.0, 6, [0, 2.4]),
        (60.0, 7, [0, 2.4, 4.8]),
        (25.0, 4, [0, 1, 2, 3]),
        (12.5, 3, [0, 0.5, 1, 1.5, 2, 2]),
        (30.0, 1, [0]),
        (60.0, 1, [0]),
        (10.0, 1, [0, 0]),
    ],
)
def test_positions_in_time(fps: float, frames: int, places: list[float]) -> None:
    made = mouth(fps)
    assert made.frames(frames) == len(places)
    assert made.at_rate(ramp(frames))[:, 0].tolist() == pytest.approx(places, abs=1e-5)


def test_frames_as_released() -> None:
    """Whatever their rate, each is a picture."""
    released = Mouth.of(replace(SIGHT, fps=30.0), "fitted", 0.165, resampled=False)
    assert released.frames(9) == 9
    assert torch.equal(released.at_rate(ramp(9)), ramp(9))
    moved = torch.from_numpy(motion("A", "s1", 9).reshape(9, -1))
    assert torch.equal(released.pictures(moved), mouth().pictures(moved))


@pytest.mark.parametrize("seconds", [0.4, 2.0, 9.96])
@pytest.mark.parametrize("fps", [24.0, 29.97, 30.0, 50.0, 60.0, 100.0])
def test_a_clip_stays_as_long_as_its_sound(fps: float, seconds: float) -> None:
    frames = round(seconds * fps)
    assert abs(mouth(fps).frames(frames) / 25 - frames / fps) <= 0.02 + 1e-9
    assert len(mouth(fps).at_rate(ramp(frames))) == mouth(fps).frames(frames)


def test_gradients_come_back_through_time_and_pictures() -> None:
    """Against differences where no other triangle is seen, and to every frame that a picture lies between."""
    made = mouth(30.0)
    moved = torch.from_numpy(motion("A", "s1", 6).reshape(6, -1).astype(np.float64)).requires_grad_()
    weights = torch.randn(5, 1, 88, 88, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    loss = (made.pictures(moved) * weights).sum()
    (gradient,) = torch.autograd.grad(loss, moved)
    assert torch.isfinite(gradient).all()
    assert (gradient.abs().sum(dim=1) > 0).all()
    along = torch.zeros_like(moved)
    vertex = int(LIPS[len(LIPS) // 2])
    along[3, 3 * vertex + 2] = 1
    step = 1e-7
    with torch.no_grad():
        after, before = ((made.pictures(moved + sign * step * along) * weights).sum() for sign in (1, -1))
    assert (gradient * along).sum().item() == pytest.approx(((after - before) / (2 * step)).item(), rel=1e-3)


@pytest.mark.parametrize("up", ["z", "-y"])
def test_turned_data_give_the_same_pictures(up: str) -> None:
    """Data whose axes are others, and a camera that is fitted to them."""
    rotation = np.array(UP_AXES[up], np.float64)  # rows: right, up, to the viewer in the data's axes
    upright = motion("A", "s2", 7)
    turned = (upright @ rotation).astype(np.float32)
    assert not np.allclose(upright, turned)
    other = mouth(30.0, up=up, template=SIGHT.template @ rotation)
    expected = mouth(30.0).pictures(torch.from_numpy(upright.reshape(7, -1)))
    found = other.pictures(torch.from_numpy(turned.reshape(7, -1)))
    assert (found - expected).abs().max() < 2e-4
    assert expected.std() > 0.1
    rim = other.widened(3)
    wide = rim.pictures(torch.from_numpy(turned.reshape(7, -1)))
    assert wide.shape == (6, 1, 94, 94)
    assert torch.equal(wide[..., 3:-3, 3:-3], found)


def test_cameras_that_show_no_mouth() -> None:
    with pytest.raises(DataError, match=r"here has no region 'lips'.*or take a published camera"):
        mouth(lips=None)
    with pytest.raises(DataError, match=r"here has 'x' pointing up, and a mouth can be drawn where y, z or -y does"):
        mouth(up="x")
    for factor in (0.01, 1000.0):  # of another unit: a speck, or one triangle all over
        small = replace(SIGHT, template=SIGHT.template * factor)
        for camera in ("vocaset", "biwi"):
            with pytest.raises(DataError, match=rf"the camera '{camera}' does not show the mouth of here"):
                Mouth.of(small, camera, 0.4)
    behind = replace(SIGHT, template=SIGHT.template + np.array([5.0, 0, 0]))
    with pytest.raises(DataError, match="the camera 'vocaset' does not show the mouth of here"):
        Mouth.of(behind, "vocaset", 0.4)


def test_a_published_camera_shows_a_head_of_its_size() -> None:
    """The synthetic head has FLAME's size and place."""
    from tests.faces.mouth.scenes import talker

    head = talker()
    lips = head.head.regions["lips"]
    shift = np.array([0, -0.05, 0]) - head.template[lips].mean(axis=0) * [1, 1, 0]
    sight = Sight(head.head.faces, head.template.astype(np.float64) + shift, lips, "y", 30.0, "talker")
    made = Mouth.of(sight, "vocaset", 0.4)
    assert made.renderer.camera.std == 0.4
    assert made.fps == 30.0


def test_pictures_are_drawn_once_for_each_motion() -> None:
    class Counting(MouthRenderer):
        calls = 0

        def __call__(self, vertices: Tensor) -> Tensor:
            self.calls += 1
            return super().__call__(vertices)

    counting = Counting(MESH.faces, mouth().renderer.camera)
    drawn = Drawn(Mouth(counting, 25.0))
    first = torch.from_numpy(motion("A", "s1", 4).reshape(4, -1))
    found = drawn(first)
    assert torch.equal(found, drawn(first.clone()))
    assert counting.calls == 1
    assert (found - mouth().pictures(first)).abs().max() < 4e-3, "kept in half precision"
    for vertex in range(0, len(first[0]), 97):  # wherever two motions differ, they are two
        other = copy.deepcopy(first)
        other[2, vertex] += 1e-6
        drawn(other)
    assert counting.calls == 1 + len(range(0, len(first[0]), 97))
    drawn(first[:3])
    assert counting.calls == 2 + len(range(0, len(first[0]), 97))


def test_pictures_beyond_the_memory_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.lipreader.drawn.MOST_BYTES", 4 * 88 * 88 * 2)
    drawn = Drawn(mouth())
    clips = [torch.from_numpy(motion("A", sentence, 4).reshape(4, -1)) for sentence in ("s1", "s2")]
    first = [drawn(clip) for clip in clips]
    assert len(drawn._kept) == 1
    assert all(torch.equal(a, drawn(clip)) for a, clip in zip(first, clips, strict=True))


def test_a_data_set_in_sight(tmp_path) -> None:
    """The mean of those who are trained on; of all where nobody is."""
    from stages.kinds.sequences import Sequences

    data = Sequences(make_faces(tmp_path / "a"))
    seen = sight_of(data)
    assert np.allclose(seen.template, (template("A") + template("B")) / 2, atol=1e-7)
    assert (seen.up, seen.fps, seen.source) == ("y", 30.0, str(data.path))
    assert seen.lips is not None
    assert seen.lips.tolist() == LIPS.tolist()
    untrained = Sequences(make_faces(tmp_path / "b", splits={"A_s1": "test", "C_s1": "test"}))
    assert np.allclose(sight_of(untrained).template, (template("A") + template("C")) / 2, atol=1e-7)
    blind = Sequences(make_faces(tmp_path / "c", lips=False))
    assert sight_of(blind).lips is None
    np.savez(blind.path / "templates.npz", allow_pickle=False)
    with pytest.raises(DataError, match="has no neutral face"):
        sight_of(Sequences(blind.path))
