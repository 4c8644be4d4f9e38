"""The estimate before the first step: it tells, and changes nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.errors import Interrupted
from pipeline.stage import Input
from stages.train import Params, trainer
from stages.train.clips import Take
from stages.train.estimate import extremes, moments, peak_memory
from stages.train.order import Order
from tests.stages.fake_job import FakeJob
from tests.stages.train_runs import FILES, inputs, new_job, run

__all__ = ["inputs"]

LINE = re.compile(
    r"about \d+ s for (\d+) steps, validation not counted, about [\d.]+ GB \(longest batch: 2 clips of 0.\d s\)"
)


def told(job: FakeJob) -> list[str]:
    return [found[1] for line in job.said if (found := LINE.fullmatch(line))]


@pytest.mark.parametrize("options", [{}, {"precision": "fp16"}, {"ema": 0.9, "accumulate": 2}])
def test_the_estimate_changes_no_byte(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    with_it, without = new_job(tmp_path / "a", inputs), new_job(tmp_path / "b", inputs)
    run(with_it, epochs=20, batch_size=2, **options)
    monkeypatch.setattr(trainer, "LEAST", 10**9)
    run(without, epochs=20, batch_size=2, **options)
    assert told(with_it) == [str(40 // options.get("accumulate", 1))]
    assert told(without) == []
    for name in FILES:
        assert (with_it.out / name).read_bytes() == (without.out / name).read_bytes(), name


def test_a_resumed_run_is_told_what_is_left(inputs: dict[str, Input], tmp_path: Path) -> None:
    job = new_job(tmp_path, inputs, stop_after=9)
    with pytest.raises(Interrupted):
        run(job, epochs=20, batch_size=2)
    job.stop_after = None
    run(job, epochs=20, batch_size=2)
    step = next(int(line.split()[4]) for line in job.said if line.startswith("going on after step"))
    assert told(job) == ["40", str(40 - step)]


def test_a_short_run_is_not_held_up(inputs: dict[str, Input], tmp_path: Path) -> None:
    job = new_job(tmp_path, inputs)
    run(job)
    assert told(job) == []


def test_the_longest_clips_may_meet_in_one_batch() -> None:
    takes = [Take(f"A_s{number}", 0) for number in range(10)]
    order = Order(takes, [50, 90, 10, 80, 20, 30, 40, 60, 70, 100], Params(model="x", batch_size=3, order="listed"), 0)
    longest, middling = extremes(order, 0)
    assert [take.name for take in longest] == ["A_s9", "A_s1", "A_s3"]
    assert middling == takes[3:6]  # padded sizes 270, 240, 210 and 100


def test_what_the_optimiser_will_take_is_counted_once() -> None:
    weight = torch.nn.Parameter(torch.ones(1000))
    optimiser = torch.optim.Adam([weight])
    assert moments(optimiser) == 2 * 4000
    weight.sum().backward()
    optimiser.step()
    assert moments(optimiser) == 0


def test_memory_is_that_of_this_process() -> None:
    grown = torch.ones(25_000_000)
    assert grown.nbytes < peak_memory("cpu") < 2**40
