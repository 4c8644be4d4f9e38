"""A store with two artifacts, the second made from the first."""

from __future__ import annotations

from pathlib import Path

import pytest

from cache.manifest import Made
from cache.store import Artifact, Store


def publish(store: Store, stage: str, number: int = 1, *, inputs: Artifact | None = None, **facts: object) -> Artifact:
    """An artifact with two files, its key told apart by a number."""
    key = {"stage": stage, "params": {"n": number}, "inputs": {"data": dict(inputs.content)} if inputs else {}}
    work = store.work(stage, key)
    store.begin(work)
    (work.out / "wav").mkdir(exist_ok=True)
    (work.out / "wav" / "a.wav").write_text(f"{stage} {number} " * 100)
    (work.out / "info.json").write_text("{}")
    made = {"recipe": "toy", "step": stage, "seconds": 2.0, "finished": "2026-01-02T03:04:05Z", "host": "h"} | facts
    return store.publish(work, "label", "sequences", {"a": Made("", ["wav/a.wav"])}, made)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")
