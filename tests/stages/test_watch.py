"""What one sees of a training while it runs: the line that changes, the history so far, the curves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from pipeline.errors import Interrupted, StageError
from pipeline.stage import Input
from stages.train import health, report, trainer
from stages.train.curves import draw_curves
from stages.train.state import Progress
from stages.train.watch import live_line, scalars
from tests.stages.fake_face import FakeFace
from tests.stages.train_runs import inputs, new_job, run

__all__ = ["inputs"]
HEALTH = {"motion_energy": 0.444, "lip_correlation": 0.6, "lve": 1.4e-5}


def record(epoch: int, **more: Any) -> dict[str, Any]:
    return {"epoch": epoch, "step": 4 * epoch, "lr": 1e-4, "train": {"loss": 0.5, "motion": 0.4}} | more


def test_the_line_is_of_this_epoch_and_of_the_last_validation() -> None:
    progress = Progress(epoch=2, clips=4, sums={"loss": 1.0, "motion": 0.8, "velocity": 0.2})
    progress.history = [record(1, val={"loss": 0.11}, health=HEALTH), record(2)]
    progress.best_epoch, progress.best_loss = 1, 0.11
    assert live_line(progress, 50, "cpu") == (
        "epoch 3/50 · loss 0.25 (motion 0.2, velocity 0.05) · val 0.11 (best) · LVE 1.4e-05 · lips r 0.60 · motion 44%"
    )
    progress.history.append(record(3, val={"loss": 0.2}, health={"motion_energy": None, "lve": None}))
    assert live_line(progress, 50, "cpu").endswith(" · val 0.2 (best: 0.11, epoch 1)")


def test_the_line_begins_with_nothing_and_ends_with_the_last_epoch() -> None:
    assert live_line(Progress(), 50, "cpu") == "epoch 1/50"
    ended = Progress(epoch=2, history=[record(1), record(2)])
    assert live_line(ended, 2, "cpu") == "epoch 2/2 · loss 0.5 (motion 0.4)"


def test_a_gpu_tells_its_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 3 * 2**29)
    assert live_line(Progress(), 50, "cuda") == "epoch 1/50 · GPU 1.5 GB"


def test_scalars_are_what_is_a_number() -> None:
    health = HEALTH | {"lve": None, "lip_correlation": float("nan")}
    assert scalars(record(7, val={"loss": 1}, health=health)) == {
        "epoch": 7.0,
        "lr": 1e-4,
        "train/loss": 0.5,
        "train/motion": 0.4,
        "val/loss": 1.0,
        "health/motion_energy": 0.444,
    }


def test_training_tells_what_goes_on(inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "BLINK_S", 0.0)
    job = new_job(tmp_path, inputs)
    run(job)
    assert len(job.watched) == 12  # a line a step
    assert job.watched[0].startswith("epoch 1/3 · loss ")
    assert "(half " in job.watched[0]
    assert " val " not in job.watched[2]
    for part in (" · val ", " · LVE ", " · lips r ", " · motion "):
        assert part in job.watched[-1]


def test_the_line_does_not_change_faster_than_one_can_read(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "BLINK_S", 1e9)
    job = new_job(tmp_path, inputs)
    run(job)
    assert len(job.watched) <= 1


def test_the_history_grows_while_training_runs(inputs: dict[str, Input], tmp_path: Path) -> None:
    """An epoch that a killed attempt told and did not save is told again, once."""
    job = new_job(tmp_path, inputs)
    job.stop_after = 9
    with pytest.raises(Interrupted):
        run(job)
    file = job.state / "history.jsonl"
    assert [json.loads(line)["epoch"] for line in file.read_text().splitlines()] == [1, 2]
    file.write_text(file.read_text() + '{"epoch": 3, "of": "an attempt that was killed"}\n{"epo')
    job.stop_after = None
    run(job)
    assert file.read_bytes() == (job.out / "history.jsonl").read_bytes()


def test_a_long_training_says_how_to_follow_it(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, long = new_job(tmp_path / "short", inputs), new_job(tmp_path / "long", inputs)
    monkeypatch.setattr(trainer, "LEAST", 1)
    monkeypatch.setattr(report, "LONG_S", 1e9)
    run(short)
    monkeypatch.setattr(report, "LONG_S", 0.0)
    run(long)
    line = f"to follow it: tail -f {long.state / 'history.jsonl'}"
    assert line in long.said
    assert not any("tail -f" in line for line in short.said)


def test_a_mouth_that_never_moves_ends_the_training(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a rate of zero makes it."""
    monkeypatch.setattr(health, "YOUNG", 1)
    with pytest.raises(StageError, match=r"after epoch 4: the mouth does not move: .* change lr \(now 0\), .*"):
        run(new_job(tmp_path / "never", inputs), epochs=9, lr=0.0, frozen_patience=4)
    assert len(run(new_job(tmp_path / "patient", inputs), epochs=9, lr=0.0, frozen_patience=0).history()) == 9


def test_a_mouth_that_freezes_ends_the_training_and_the_best_stays(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A face that no longer moves from epoch 21 on, while its validation is no better than before."""
    predict, validate, calls = FakeFace.predict, FakeFace.validation_losses, iter(range(1000))

    def freezing(self: FakeFace, *given: Any) -> torch.Tensor:
        made = predict(self, *given)
        return made if next(calls) < 4 * 20 else made[:, :1].expand_as(made)

    def worse(self: FakeFace, clips: Any) -> dict[str, torch.Tensor]:
        losses = validate(self, clips)
        return {"loss": losses["loss"] + (1 if self.calls > 4 * 20 else 0)}

    monkeypatch.setattr(FakeFace, "predict", freezing)
    monkeypatch.setattr(FakeFace, "validation_losses", worse)
    job = new_job(tmp_path, inputs)
    with pytest.raises(StageError, match=r"after epoch 22: the mouth has frozen: in epochs 21 and 22 .*, the best so"):
        run(job, epochs=30)
    assert len(list(job.state.glob("best-*.safetensors"))) >= 1
    assert not list(job.out.iterdir())


@pytest.mark.parametrize(
    ("more", "panels"),
    [
        ({}, 1),
        ({"health": HEALTH}, 3),
        ({"health": {"motion_energy": 0.5, "lip_correlation": None, "lve": None}}, 2),
        ({"health": dict.fromkeys(HEALTH)}, 1),
        ({"train": {"loss": 1.0, "codebook_usage": 0.5}, "health": HEALTH}, 4),
    ],
)
def test_curves_have_a_panel_for_what_was_recorded(tmp_path: Path, more: dict[str, Any], panels: int) -> None:
    history = [record(1), record(2, val={"loss": 0.3}, **more)]
    history[0] |= {name: value for name, value in more.items() if name == "train"}
    draw_curves(tmp_path / "curves.png", "face", history, best_epoch=2)
    with Image.open(tmp_path / "curves.png") as image:
        assert image.width == 120 * (7 if panels == 1 else 5 * panels)
