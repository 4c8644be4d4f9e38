"""Items overlap; one that fails is named, keeps what is finished and lets nothing else begin."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from cache.store import Store
from pipeline.errors import StageError
from pipeline.execute import sentence
from pipeline.job import RunningJob, Stop
from tests.pipeline.conftest import Recorder


@pytest.fixture
def job(tmp_path: Path) -> RunningJob:
    store = Store(tmp_path / "store")
    work = store.work("stage", {"a": 1})
    store.begin(work)
    recorder = Recorder()
    return RunningJob("step", work, {}, seed=0, device="cpu", workers=2, reporter=recorder, stop=Stop(recorder))


def test_items_overlap(job) -> None:
    together = threading.Barrier(2, timeout=20)

    def make(item: str) -> list[Path]:
        together.wait()
        return []

    job.each(["a", "b", "c", "d"], make, threads=job.workers)
    assert set(job.journal.finished) == {f"sequences/{item}" for item in "abcd"}


@pytest.mark.parametrize("threads", [1, 2])
def test_an_item_that_fails(job, threads) -> None:
    begun = []
    failed = threading.Event()

    def make(item: str) -> list[Path]:
        begun.append(item)
        if item == "item-2":
            failed.set()
            raise ValueError("no good")
        if int(item.partition("-")[2]) > 2:
            failed.wait(20)
            time.sleep(0.02)  # as an item takes; the error is noted meanwhile
        path = job.out / item
        path.write_text(item)
        return [path]

    items = [f"item-{number}" for number in range(50)]
    with pytest.raises(ValueError) as caught:
        job.each(items, make, threads=threads)
    assert sentence(caught.value) == "item-2: unexpected ValueError: no good (a defect; --debug shows where)"
    assert {"sequences/item-0", "sequences/item-1"} <= set(job.journal.finished)
    assert len(begun) < 20
    assert "item-49" not in begun


def test_an_item_is_not_named_twice() -> None:
    error = StageError("clip7.wav is silent")
    error.add_note("at item clip7")
    assert sentence(error) == "clip7.wav is silent"
