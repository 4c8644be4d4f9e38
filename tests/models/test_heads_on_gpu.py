"""Head models, readers of lips and judges of them, on pretended GPUs (`tests.pretended_gpu`)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from faces.implicit.weight import FacialWeight
from models.lipreader.reading import read
from models.lipreader.sizes import Sizes
from models.nphm.arrays import HeadArrays
from models.nphm.astray import neighbours
from models.nphm.following import Pace, follow
from models.nphm.frozen import HeadAt, Quick
from models.nphm.head import HeadModel
from models.nphm.lessons import Lesson, Weights, loss
from models.nphm.tracking import Effort, at_rest, track
from models.syncnet.distances import synchrony
from stages.train.loader import moved
from tests.models.avguidance.heads import GUIDED, clips, expert, guided, sight
from tests.models.lipreader import tiny as reading
from tests.models.nphm import tiny
from tests.models.syncnet.narrow import narrow
from tests.pretended_gpu import KINDS, pretended_gpu

POINTS = 0.3 * torch.randn(60, 3, generator=torch.Generator().manual_seed(1))
Send = Callable[[Tensor], Tensor]


def both(ask: Callable[[Send], Tensor], **close: float) -> None:
    """What is asked for comes to the same everywhere. Tensors and networks go through what `ask` is given."""
    near = ask(lambda tensor: tensor)
    for kind in KINDS:
        with pretended_gpu(kind) as gpu:
            far = ask(lambda tensor: tensor.to(gpu))
            assert far.device == gpu
            torch.testing.assert_close(far.cpu(), near, **close)


@pytest.mark.parametrize("form", ["forward", "mono"])
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_frozen_heads(kind: str, form: str, half: bool) -> None:
    make = tiny.forward_model if form == "forward" else tiny.mono_model

    def arrays(send: Send) -> HeadArrays:
        model = make()
        identity, expression = (send(code[0]) for code in tiny.codes(model))
        facial = FacialWeight((0.0, -0.2, 0.2))
        return HeadArrays(HeadAt(send(model), identity, expression, Quick(half=half), facial))

    near, points = arrays(lambda tensor: tensor), POINTS.numpy()
    with pretended_gpu(kind) as gpu:
        far = arrays(lambda tensor: tensor.to(gpu))
        close = {"atol": 5e-2 if half else 1e-5, "rtol": 0.0}
        np.testing.assert_allclose(far.field(points), near.field(points), **close)
        moves = ("posed",) if form == "forward" else ("canonical",)
        for name in moves:
            np.testing.assert_allclose(getattr(far, name)(points), getattr(near, name)(points), **close)
        if not half:
            for one, other in zip(far.slope(points), near.slope(points), strict=True):
                np.testing.assert_allclose(one, other, atol=1e-4)


def lesson(model: HeadModel, send: Send) -> Lesson:
    draw = torch.Generator().manual_seed(2)
    numbers = [torch.randn(1, 60, *shape, generator=draw) for shape in ((3,), (3,), ())]
    masks = [(torch.rand(1, 60, generator=draw) > 0.3).float() for _ in range(3)]
    return Lesson(*(send(0.2 * part) for part in numbers), *(send(mask) for mask in masks))


def test_lessons() -> None:
    def ask(send: Send) -> Tensor:
        model = tiny.mono_model()
        identity, expression = (send(code) for code in tiny.codes(model))
        anchors = send(model.identity.place(tiny.codes(model)[0]).detach())
        model = send(model)
        total, _ = loss(model, lesson(model, send), identity, expression, anchors, Weights())
        total.backward()
        slopes = [parameter.grad.abs().sum() for parameter in model.parameters() if parameter.grad is not None]
        return torch.stack([total.detach(), *slopes])

    both(ask, atol=1e-4, rtol=1e-4)


def test_tracking() -> None:
    def codes(send: Send) -> Tensor:
        model = tiny.mono_model().requires_grad_(False)
        identity = send(tiny.codes(model)[0])
        clouds = send(POINTS[:40].expand(5, -1, -1) + 0.01 * torch.arange(5.0)[:, None, None])
        return track(send(model), identity, clouds, Effort(window=3, overlap=1, rounds=2))[0]

    def identity(send: Send) -> Tensor:
        model = tiny.mono_model().requires_grad_(False)
        start, draw = tiny.codes(model)[0], torch.Generator().manual_seed(0)
        anchors = send(model.identity.place(start))
        model = send(model)
        return at_rest(model, lesson(model, send), send(0 * start), anchors, 3, 20, draw)[0]

    both(codes, atol=1e-4, rtol=1e-3)
    both(identity, atol=1e-4, rtol=1e-3)


def test_following() -> None:
    faces = np.array([[i, i + 1, i + 2] for i in range(18)])

    def ask(send: Send) -> Tensor:
        model = tiny.mono_model().requires_grad_(False)
        identity, expression = tiny.codes(model)
        codes = torch.stack([0 * expression[0], 0.3 * expression[0]])
        around = neighbours(faces, 20, np.arange(20))
        found = follow(send(model), send(identity), send(POINTS[:20]), send(codes), Pace(), send(around))
        return torch.cat((found.places.flatten(), found.turns.flatten()))

    both(ask, atol=1e-3, rtol=1e-3)


def test_guided_training() -> None:
    """A face whose lips are rendered and read: the losses and what they pull at."""

    def ask(send: Send) -> Tensor:
        network, judge = guided(GUIDED), expert()
        network = send(network)
        network.watch(sight(), send(judge))
        found = network.losses(moved(clips(), send(torch.ones(1)).device))
        found["loss"].backward()
        pulled = [parameter.grad.abs().sum() for parameter in network.parameters() if parameter.grad is not None]
        return torch.stack([found["loss"].detach(), *pulled])

    both(ask, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("settings", reading.BOTH, ids=["audio-visual", "video"])
def test_reading(settings: Sizes) -> None:
    """The beam search, whose sums are in double precision."""

    def ask(send: Send) -> Tensor:
        network = send(reading.network(settings))
        sound = reading.sound_for(settings, 7)
        features = network.encode(send(reading.video(7)), None if sound is None else send(sound))[0]
        found = read(network, features, beam=4, ctc_weight=0.3)
        assert all(len(one.pieces) <= 7 for one in found)
        return send(torch.tensor([[one.score, one.decoder, one.ctc] for one in found]))

    both(ask, atol=1e-4, rtol=1e-4)


def test_synchrony() -> None:
    def ask(send: Send) -> Tensor:
        network = send(narrow())
        drawn = np.random.default_rng(0)
        seen = network.look(drawn.integers(0, 255, (224, 224, 3), dtype=np.uint8) for _ in range(12))
        heard = network.hear(drawn.normal(size=(60, 13)), 8)
        found = synchrony(seen, heard)
        return send(torch.tensor([found.distance, found.confidence, found.offset]))

    both(ask, atol=1e-3, rtol=1e-3)
