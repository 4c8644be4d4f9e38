"""Process 0 starts another one, trains with it as it would alone, and tells in a sentence what becomes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pipeline.errors import StageError
from pipeline.stage import Input
from stages.kinds.checkpoint import read_weights
from stages.train.sharing import Order
from tests.stages import steady_face
from tests.stages.train_runs import inputs, new_job, run
from tests.threads import one_thread

__all__ = ["inputs", "one_thread"]

OPTIONS = {"model": steady_face.NAME, "epochs": 3, "batch_size": 3, "accumulate": 1}


def assert_alike(one: Path, other: Path) -> None:
    for name in ("model.safetensors", "last.safetensors"):
        first, second = read_weights(one / name), read_weights(other / name)
        assert first.keys() == second.keys()
        for key, value in first.items():
            torch.testing.assert_close(value, second[key], rtol=0, atol=1e-5)
    histories = [(folder / "history.jsonl").read_text().splitlines() for folder in (one, other)]
    assert len(histories[0]) == OPTIONS["epochs"]
    for a, b in zip(*histories, strict=True):
        for split in ("train", "val"):
            assert json.loads(a)[split] == pytest.approx(json.loads(b)[split], abs=1e-5)


def test_two_train_as_one(inputs: dict[str, Input], tmp_path: Path) -> None:
    """Four clips in batches of three: the second batch leaves process 1 without any."""
    one, two = new_job(tmp_path / "one", inputs), new_job(tmp_path / "two", inputs, processes=2)
    run(one, **OPTIONS)
    run(two, **OPTIONS)
    assert two.notes["processes"] == 2
    assert_alike(one.out, two.out)


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ("1 2 SIGKILL", r"process 1 of 2 was killed by signal 9; perhaps the machine ran out of memory"),
        ("1 2 refuse", r"process 1 of 2 on .*: this clip cannot be learned from"),
        ("1 2 fail", r"process 1 of 2 on .*: unexpected RuntimeError: a defect"),
    ],
)
def test_what_becomes_of_the_other(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: str, told: str
) -> None:
    monkeypatch.setenv(steady_face.EVENT, event)
    job = new_job(tmp_path / "job", inputs, processes=2)
    with pytest.raises(StageError, match=told):
        run(job, **OPTIONS)
    assert not list(job.out.iterdir())


def test_an_error_of_its_own_is_told_as_it_is(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(steady_face.EVENT, "0 2 fail")
    with pytest.raises(RuntimeError, match=r"^a defect$"):
        run(new_job(tmp_path / "job", inputs, processes=2), **OPTIONS)


def test_the_other_does_not_see_the_folders(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Order, "text", property(lambda order: json.dumps(vars(order) | {"state": "/elsewhere/state"})))
    told = "process 1 of 2 on .*: /elsewhere/state is not there: all hosts must see the same folder of the store"
    with pytest.raises(StageError, match=told):
        run(new_job(tmp_path / "job", inputs, processes=2), **OPTIONS)


def test_not_on_mps(inputs: dict[str, Input], tmp_path: Path) -> None:
    with pytest.raises(StageError, match="mps"):
        run(new_job(tmp_path / "job", inputs, processes=2, device="mps"), **OPTIONS)
