"""What runs on a GPU, on a pretended one: every network, and every stage that asks for a device."""

from __future__ import annotations

import copy
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models.talking_face import Speech
from stages.train.loader import moved, pinned
from tests.models.all_faces import Face, every_learner, every_speaker, speech
from tests.pretended_gpu import KINDS, Far, RefusedError, pretended_gpu
from tests.recipe_runs import here, run_tiny, store

__all__ = ["here", "store"]
LENGTHS, FRAMES = [30, 20], [12, 8]
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def _quiet(recwarn: pytest.WarningsRecorder) -> None:
    """PyTorch warns that it was compiled without what is pretended."""


@each_kind
def test_numbers_are_those_of_the_processor(kind: str) -> None:
    x = torch.arange(12.0).view(3, 4)
    with pretended_gpu(kind) as gpu:
        far = x.to(kind)
        assert far.device == gpu
        assert far.is_cuda == (kind == "cuda")
        assert not x.is_cuda
        assert torch.zeros(2, device=far.device).device == far.new_zeros(2).device == far.new_tensor([1]).device == gpu
        torch.testing.assert_close((far @ far.mT)[[0, 2], 1:].cpu(), (x @ x.mT)[[0, 2], 1:])
        far[1] = torch.tensor(5.0)
        assert far.tolist() == [[0, 1, 2, 3], [5] * 4, [8, 9, 10, 11]]
        assert far.sum().item() == 64
        assert far[torch.tensor([2])].device == gpu
        assert far.cpu().device.type == "cpu"
    assert x[1, 0] == 4, "sent is copied"


def test_learning_is_that_of_the_processor() -> None:
    torch.manual_seed(0)
    near = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 1))
    x, steps = torch.randn(5, 4), []
    for device in ("cpu", "cuda"):
        with pretended_gpu():
            network = copy.deepcopy(near).to(device)
            optimiser = torch.optim.Adam(network.parameters(), lr=0.1)
            for _ in range(3):
                optimiser.zero_grad()
                network(x.to(device)).square().mean().backward()
                optimiser.step()
            steps.append([parameter.detach().cpu() for parameter in network.parameters()])
            assert {parameter.device.type for parameter in network.parameters()} == {device}
    for one, other in zip(*steps, strict=True):
        torch.testing.assert_close(one, other)
        assert not isinstance(other, Far)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda far: far + torch.ones(3),
        lambda far: torch.cat((far, torch.ones(1, 3))),
        lambda far: torch.ones(3, 3)[far.argmax(0)],
        lambda far: far.index_put_((torch.tensor([0]),), torch.ones(3)),
        lambda far: far.uniform_(generator=torch.Generator()),
        lambda far: torch.randn(2, device=far.device, generator=torch.Generator()),
        lambda far: nn.Linear(3, 2)(far),
    ],
)
@each_kind
def test_what_a_gpu_refuses_is_refused(kind: str, wrong: Any) -> None:
    with pretended_gpu(kind), pytest.raises(RefusedError):
        wrong(torch.ones(3, 3).to(kind))


@pytest.mark.parametrize("wide", [lambda far: far.double(), lambda far: far.new_zeros(2, dtype=torch.float64)])
def test_apple_has_no_float64(wide: Any) -> None:
    with pretended_gpu("mps"), pytest.raises(RefusedError, match="float64"):
        wide(torch.ones(3).to("mps"))
    with pretended_gpu():
        wide(torch.ones(3).to("cuda"))


def test_nobody_looks_at_its_numbers_by_numpy() -> None:
    with pretended_gpu():
        far = torch.ones(3).to("cuda")
        for look in (far.numpy, lambda: np.asarray(far)):
            with pytest.raises(TypeError, match="to host memory first"):
                look()


@every_learner
@each_kind
def test_every_network_learns_there(kind: str, face: Face) -> None:
    """Losses, gradients and a step of the optimiser; validation."""
    face = face.calm()
    near = face.network().train()
    clips = face.clips(LENGTHS, FRAMES)
    torch.manual_seed(5)
    loss = near.losses(clips)["loss"]
    loss.backward()
    with pretended_gpu(kind) as gpu:
        far = face.network().train().to(kind)
        assert {part.device for part in (*far.parameters(), *far.buffers())} == {gpu}
        sent = moved(pinned(clips), kind)
        torch.manual_seed(5)
        found = far.losses(sent)["loss"]
        found.backward()
        assert found.item() == pytest.approx(loss.item(), rel=1e-5)
        for (name, one), other in zip(near.named_parameters(), far.parameters(), strict=True):
            if one.grad is not None:
                torch.testing.assert_close(other.grad.cpu(), one.grad, atol=1e-4, rtol=1e-3, msg=name)
        torch.optim.Adam(far.parameters()).step()
        far.eval()
        with torch.no_grad():
            assert all(np.isfinite(value.item()) for value in far.validation_losses(sent).values())


@every_speaker
@each_kind
def test_every_network_speaks_there(kind: str, face: Face) -> None:
    near, said = face.network(), speech(30)
    template = face.clips(LENGTHS, FRAMES).template[0]
    expected = near.predict_all([Speech(said.features, template, said.styles)])[0]
    kept = io.BytesIO()
    with pretended_gpu(kind):
        far = face.network().to(kind)
        sent = Speech(said.features.to(kind), template.to(kind), said.styles.to(kind))
        found = far.predict_all([sent])[0]
        torch.testing.assert_close(found.cpu(), expected, atol=1e-5, rtol=1e-5)
        torch.save({name: value.cpu() for name, value in far.state_dict().items()}, kept)
    kept.seek(0)
    for name, value in torch.load(kept, weights_only=True).items():
        torch.testing.assert_close(value, near.state_dict()[name])


@pytest.mark.parametrize(("recipe", "kind"), [("codetalker_synthetic", "cuda"), ("selftalk_synthetic", "mps")])
def test_recipes_run_there(recipe: str, kind: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From raw data to videos, all steps in this process: priors, recognisers and their readings among them."""
    monkeypatch.setattr("pipeline.gpus._sign_of_one", lambda: False)
    with pretended_gpu(kind):
        assert run_tiny(f"{recipe}.toml", device=kind) == 0
    records = [json.loads(file.read_text()) for file in (here / "store").glob("*/*/record.json")]
    told = [record["provenance"] for record in records if record["provenance"]["recipe"] == recipe]
    used = {one["step"]: one["device"] for one in told}
    assert used["train"] == used["infer"] == kind
    assert used["metrics"] == "cpu"
