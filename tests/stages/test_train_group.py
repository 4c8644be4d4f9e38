"""Several processes that train one network, here two trainers in lockstep: the result is that of one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.talking_face import Clips
from pipeline.errors import Interrupted, StageError
from pipeline.stage import Input
from stages.train import Params
from stages.train.state import Progress
from stages.train.trainer import Trainer
from tests.stages import fake_face
from tests.stages.fake_job import FakeJob
from tests.stages.train_runs import clips, inputs, new_job

__all__ = ["inputs"]


class Table:
    """Where members of a group lay what they have, and wait for the others."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.laid: list[Any] = [None] * size
        self.wait = threading.Barrier(size, timeout=60).wait

    def exchange(self, rank: int, thing: Any) -> list[Any]:
        self.laid[rank] = thing
        self.wait()
        found = list(self.laid)
        self.wait()
        return found


class Member:
    """A `Group` whose processes are threads."""

    def __init__(self, table: Table, rank: int) -> None:
        self.table, self.rank, self.size = table, rank, table.size

    def total(self, values: Tensor) -> Tensor:
        assert values.dtype == torch.float64
        return torch.stack(self.table.exchange(self.rank, values.clone())).sum(0)

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        own = list(parameters)
        for n, given in enumerate(zip(*self.table.exchange(self.rank, [copy(p.grad) for p in own]), strict=True)):
            there = [grad for grad in given if grad is not None]
            own[n].grad = torch.stack(there).sum(0) if there else None

    def gather(self, thing: Any) -> list[Any]:
        return self.table.exchange(self.rank, thing)

    def close(self) -> None:
        self.table.wait()


def copy(grad: Tensor | None) -> Tensor | None:
    return None if grad is None else grad.clone()


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads share the random streams, so that the network must draw nothing."""

    def losses(self: Any, batch: Clips) -> dict[str, Tensor]:
        loss = self._losses(batch, 0.0)
        return {"loss": loss, "half": loss.detach() / 2}

    monkeypatch.setattr(fake_face.FakeFace, "losses", losses)


@pytest.fixture(autouse=True)
def alike(calm: None, inputs: dict[str, Input], monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that begin alike, although threads share the stream that they would be drawn from."""
    drawn = fake_face.FakeFace(fake_face.Settings(), clips(inputs).facts())
    monkeypatch.setattr(fake_face, "FakeFace", lambda *_: deepcopy(drawn))


def trainer(job: FakeJob, inputs: dict[str, Input], group: Member | None = None, **params: Any) -> Trainer:
    reader = clips(inputs)
    given = {"model": fake_face.NAME, "epochs": 3, "lr": 1e-2, "batch_size": 3} | params
    return Trainer(job, fake_face.FakeFace(fake_face.Settings(), reader.facts()), reader, Params(**given), group)


def together(acts: list[Callable[[], Any]]) -> list[Any]:
    """What each of several acts in threads of their own returned or raised."""
    results: list[Any] = [None] * len(acts)

    def act(rank: int) -> None:
        try:
            results[rank] = acts[rank]()
        except Exception as error:
            results[rank] = error

    threads = [threading.Thread(target=act, args=(rank,)) for rank in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def pair(folder: Path, inputs: dict[str, Input], **params: Any) -> tuple[list[FakeJob], list[Trainer]]:
    """Two trainers and their jobs, which share a state folder."""
    table = Table(2)
    jobs = [new_job(folder / str(rank), inputs) for rank in range(2)]
    jobs[1].state = jobs[0].state
    made: list[Trainer] = together([lambda r=r: trainer(jobs[r], inputs, Member(table, r), **params) for r in range(2)])  # type: ignore[misc]
    return jobs, made


def fitted(trainers: list[Trainer]) -> list[Progress]:
    found = together([one.fit for one in trainers])
    for result in found:
        if isinstance(result, Exception):
            raise result
    return found


def weights(one: Trainer) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in one.module.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor], atol: float = 1e-5) -> None:
    for name, value in a.items():
        torch.testing.assert_close(value, b[name], rtol=0, atol=atol)


@pytest.mark.parametrize(
    "params",
    [
        {},  # batches of three clips and of one: process 1 has nothing of the second
        {"accumulate": 2, "ema": 0.5, "grad_clip": 0.5},
        {"accumulate": 2, "accumulation": "released"},
        {"epochs": 12},  # with an estimate
    ],
)
def test_two_processes_give_what_one_gives(inputs: dict[str, Input], tmp_path: Path, params: dict[str, Any]) -> None:
    alone = trainer(new_job(tmp_path / "alone", inputs), inputs, **params)
    expected = alone.fit()
    jobs, made = pair(tmp_path, inputs, **params)
    progress = fitted(made)
    for one, found in zip(made, progress, strict=True):
        same(weights(alone), weights(one))
        assert found.step == expected.step
        for record, wanted in zip(found.history, expected.history, strict=True):
            assert record["train"] == pytest.approx(wanted["train"], rel=1e-4)
            assert record["val"] == pytest.approx(wanted["val"], rel=1e-4)
    assert progress[0].history == progress[1].history
    assert jobs[0].said
    assert not jobs[1].said


def test_all_stop_when_one_is_asked_to_and_go_on_together(inputs: dict[str, Input], tmp_path: Path) -> None:
    alone = trainer(new_job(tmp_path / "alone", inputs), inputs)
    alone.fit()
    jobs, made = pair(tmp_path / "a", inputs)
    jobs[1].stop_after = 2
    assert [type(result) for result in together([one.fit for one in made])] == [Interrupted, Interrupted]
    saved = torch.load(jobs[0].state / "training.pt", weights_only=True)
    assert len(saved["random"]) == 2
    table = Table(2)
    jobs[1].stop_after = None
    again = together([lambda r=r: trainer(jobs[r], inputs, Member(table, r)) for r in range(2)])  # type: ignore[misc]
    assert [one.progress.step for one in again] == [saved["progress"]["step"]] * 2
    fitted(again)
    same(weights(alone), weights(again[0]))


def test_memory_that_one_lacks_halves_the_pieces_of_all(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = trainer(new_job(tmp_path / "alone", inputs), inputs, batch_size=4)
    alone.fit()
    jobs, made = pair(tmp_path, inputs, batch_size=4)
    losses = made[1].stepper.losses

    def bounded(batch: Clips) -> dict[str, Tensor]:
        if len(batch.features) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return losses(batch)

    made[1].stepper.losses = bounded
    fitted(made)
    assert [one.stepper.micro for one in made] == [1, 1]
    same(weights(alone), weights(made[0]))
    assert [line for line in jobs[0].said if line.startswith("out of memory")]


def test_only_the_clip_that_did_not_fit_is_named(inputs: dict[str, Input], tmp_path: Path) -> None:
    _, made = pair(tmp_path, inputs, batch_size=4, micro_batch=1, order="listed")

    def none(batch: Clips) -> dict[str, Tensor]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    made[1].stepper.losses = none
    results = together([one.fit for one in made])
    assert [str(result).split(" (")[0] for result in results] == ["out of memory on cpu: A_s02"] * 2


def test_a_loss_that_is_no_number_stops_all_with_the_clips_name(inputs: dict[str, Input], tmp_path: Path) -> None:
    _, made = pair(tmp_path, inputs)
    made[1].stepper.losses = lambda batch: {"loss": made[1].network.move.bias.sum() * float("nan")}  # type: ignore[union-attr]
    results = together([one.fit for one in made])
    assert [type(result) for result in results] == [StageError, StageError]
    assert str(results[0]).split(". The best")[0] == str(results[1]).split(". The best")[0]
    assert "the loss is not finite in epoch 1, step 1 (" in str(results[0])


def test_a_batch_that_cannot_be_shared_is_refused(inputs: dict[str, Input], tmp_path: Path) -> None:
    _, refused = pair(tmp_path, inputs, batch_size=1)
    for result in refused:
        assert isinstance(result, StageError)
        assert "batch_size = 1 clips cannot be shared by 2 processes: set batch_size to 2 or more" in str(result)
