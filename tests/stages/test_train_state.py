"""Stopping, killing and resuming: the bytes of a straight run, whatever happened to it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.errors import Interrupted
from pipeline.stage import Input
from stages.train.state import FILE, Progress, StateFile, random_state, seed_everything, set_random_state
from tests.stages import fake_face
from tests.stages.train_runs import FILES, inputs, new_job, run

__all__ = ["inputs"]


@pytest.mark.parametrize("stop", [0, 1, 3, 4, 9])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_stopping_and_resuming_is_bit_exact(
    inputs: dict[str, Input], tmp_path: Path, stop: int, accumulate: int
) -> None:
    """Wherever it stops, in an epoch or between two, the published bytes are those of a run straight through."""
    straight, broken = new_job(tmp_path / "straight", inputs), new_job(tmp_path / "broken", inputs)
    options: dict[str, Any] = {"epochs": 5, "batch_size": 1 + stop % 2, "accumulate": accumulate}
    run(straight, **options)
    steps = 5 * math.ceil(4 / (options["batch_size"] * accumulate))
    if stop < steps:
        broken.stop_after = stop
        with pytest.raises(Interrupted, match="run the same command again"):
            run(broken, **options)
        assert not list(broken.out.iterdir())
        broken.stop_after = None
    seed_everything(12345)
    run(broken, **options)
    assert any("going on after step" in line for line in broken.said) == (stop < steps)
    for name in FILES:
        assert (straight.out / name).read_bytes() == (broken.out / name).read_bytes(), name


HARD: dict[str, Any] = {
    "epochs": 4,
    "batch_size": 2,
    "ema": 0.9,
    "schedule": "cosine",
    "warmup": 3,
    "grad_clip": 1.0,
    "optimiser": "adamw",
    "accumulate": 1,
    "save_every": 0.0,
}


class Killed(BaseException):
    pass


@pytest.mark.parametrize("call", [0, 1, 4, 6, 7])
@pytest.mark.parametrize(
    "options",
    [
        HARD | {"precision": "fp16"},
        HARD | {"batch_size": 1, "accumulate": 3, "accumulation": "released"},
    ],
    ids=["fp16", "released"],
)
def test_killed_anywhere_it_ends_with_the_same_bytes(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int, options: dict[str, Any]
) -> None:
    """In the forward pass of any batch, also between two of one step; average, rate, scaler and streams go on."""
    straight, killed = new_job(tmp_path / "straight", inputs), new_job(tmp_path / "killed", inputs)
    run(straight, **options)
    losses, calls = fake_face.FakeFace.losses, iter(range(99))

    def die(self: fake_face.FakeFace, clips: Any) -> Any:
        if next(calls) == call:
            raise Killed
        return losses(self, clips)

    with monkeypatch.context() as patch:
        patch.setattr(fake_face.FakeFace, "losses", die)
        with pytest.raises(Killed):
            run(killed, **options)
    seed_everything(12345)
    run(killed, **options)
    assert any("going on after step" in line for line in killed.said) == (call > 0)
    for name in FILES:
        assert (straight.out / name).read_bytes() == (killed.out / name).read_bytes(), name


def test_a_wish_to_stop_after_the_last_step_publishes(inputs: dict[str, Input], tmp_path: Path) -> None:
    job = new_job(tmp_path, inputs, stop_after=1)
    assert run(job, epochs=1, batch_size=4).training()["steps"] == 1


def test_the_scaler_goes_on_where_it_was(inputs: dict[str, Input], tmp_path: Path) -> None:
    job = new_job(tmp_path, inputs, stop_after=2)
    with pytest.raises(Interrupted):
        run(job, precision="fp16")
    saved = torch.load(job.state / "training.pt", weights_only=True)
    assert saved["parts"]["scaler"]["_growth_tracker"] == saved["progress"]["step"] > 0


def test_a_killed_run_goes_on_from_its_last_saved_state(inputs: dict[str, Input], tmp_path: Path) -> None:
    """No farewell: the run dies in a step, after states were saved at every step and a newer best was written."""
    straight, killed = new_job(tmp_path / "straight", inputs), new_job(tmp_path / "killed", inputs)
    run(straight, fake_face.Settings(break_at=-1))

    def die() -> bool:
        if len(list(killed.state.glob("best-*.safetensors"))) > 1:
            raise Killed
        return False

    killed.stopping = die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        run(killed, save_every=0.0)
    killed.stopping = lambda: False  # type: ignore[method-assign]
    run(killed, save_every=0.0)
    for name in FILES:
        assert (straight.out / name).read_bytes() == (killed.out / name).read_bytes(), name
    assert len(list(killed.state.glob("best-*.safetensors"))) == 1


def test_random_state_round_trip(tmp_path: Path) -> None:
    import random

    def draws() -> tuple[float, ...]:
        return random.random(), float(np.random.rand()), float(np.random.randn()), torch.rand(()).item()

    seed_everything(7)
    draws()
    torch.save(random_state(), tmp_path / "state.pt")
    expected = draws()
    draws()
    set_random_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert draws() == expected


def cut(part: float) -> Callable[[Path], None]:
    def damage(state: Path) -> None:
        content = (state / "training.pt").read_bytes()
        (state / "training.pt").write_bytes(content[: int(part * len(content))])

    return damage


def other_content(state: Path) -> None:
    torch.save([1, 2], state / "training.pt")


def bend(**changes: Any) -> Callable[[Path], None]:
    def damage(state: Path) -> None:
        saved = torch.load(state / "training.pt", weights_only=True)
        for part, change in changes.items():
            saved[part] = change(saved[part])
        torch.save(saved, state / "training.pt")

    return damage


def part(**changes: Any) -> Callable[[Path], None]:
    return bend(parts=lambda parts: parts | {name: change(parts[name]) for name, change in changes.items()})


def wide_moments(optimiser: dict[str, Any]) -> dict[str, Any]:
    for moments in optimiser["state"].values():
        moments["exp_avg"] = torch.zeros(3, 3)
    return optimiser


def lose_the_best(state: Path) -> None:
    next(state.glob("best-*.safetensors")).unlink()


def cut_the_best(state: Path) -> None:
    best = next(state.glob("best-*.safetensors"))
    best.write_bytes(best.read_bytes()[:-8])


DAMAGES = {
    **{f"cut to {part}": cut(part) for part in (0.0, 0.01, 0.5, 0.99)},
    "other content": other_content,
    "other tensors": part(network=lambda tensors: tensors | {"move.bias": torch.zeros(7)}),
    "other names": part(network=lambda tensors: {f"x.{name}": value for name, value in tensors.items()}),
    "other moments": part(optimiser=wide_moments),
    "other average": part(average=lambda kept: kept[1:]),
    "other streams": bend(random=lambda streams: [streams[0] | {"torch": torch.zeros(3)}]),
    "other progress": bend(progress=lambda progress: progress | {"more": 1}),
    "no best": lose_the_best,
    "cut best": cut_the_best,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_state_begins_anew(inputs: dict[str, Input], tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """As if it had never begun: to the byte the result of a run straight through."""
    straight, broken = new_job(tmp_path / "straight", inputs), new_job(tmp_path / "broken", inputs)
    run(straight, ema=0.9)
    broken.stop_after = 9
    with pytest.raises(Interrupted):
        run(broken, ema=0.9)
    damage(broken.state)
    broken.stop_after = None
    run(broken, ema=0.9)
    assert "the saved state of the earlier attempt cannot be read; training begins anew" in broken.said
    for name in FILES:
        assert (straight.out / name).read_bytes() == (broken.out / name).read_bytes(), name


def test_a_state_is_on_the_disk_before_it_takes_its_name(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real_sync, real_replace = os.fsync, os.replace

    def sync(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real_sync(descriptor)

    def replace(source: Any, target: Any) -> None:
        if Path(target).name == "training.pt":
            assert str(source) in synced
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    job = new_job(tmp_path, inputs)
    job.stop_after = 0
    with pytest.raises(Interrupted):
        run(job)
    assert synced


class Part:
    """Cannot be put back, for a reason of its own."""

    def __init__(self, text: str) -> None:
        self.text = text

    def state_dict(self) -> dict[str, int]:
        return {}

    def load_state_dict(self, state: Any, /) -> None:
        raise RuntimeError(self.text)


@pytest.mark.parametrize(
    "text", ["CUDA error: unspecified launch failure", "DefaultCPUAllocator: can't allocate memory"]
)
def test_a_state_is_kept_where_memory_or_device_is_to_blame(tmp_path: Path, text: str) -> None:
    files = StateFile(tmp_path, {"network": Part(text)}, pytest.fail)
    files.save(Progress(), [random_state()])
    with pytest.raises(RuntimeError, match=text[:10]):
        files.restore()
    assert (tmp_path / FILE).is_file()
