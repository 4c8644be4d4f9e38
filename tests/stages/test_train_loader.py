"""Reading ahead: what is read in line, in the same order, and nothing left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from faces.errors import DataError
from models.talking_face import Clips
from pipeline.stage import Input
from stages.kinds.sequences import Sequences
from stages.train.clips import Take
from stages.train.loader import AHEAD_ON_CPU, Loader, moved
from tests.stages import fake_face
from tests.stages.train_runs import clips, inputs, new_job, run

__all__ = ["inputs"]


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("clips")]


def batches(inputs: dict[str, Input]) -> list[list[Take]]:
    takes = [take for split in ("train", "val") for some in clips(inputs).takes(split) for take in some]
    return [takes[start : start + 3] for start in range(0, len(takes), 3)]


def same(a: Clips, b: Clips) -> bool:
    return all(torch.equal(value, getattr(b, name)) for name, value in vars(a).items() if value is not None)


def test_what_is_read_ahead_is_what_is_read_in_line(inputs: dict[str, Input]) -> None:
    reader, wanted = clips(inputs), batches(inputs)
    with Loader(reader.batch, wanted, "cpu") as loader:
        found = list(loader)
    assert len(found) == len(wanted) > AHEAD_ON_CPU
    assert all(same(made, reader.batch(takes)) for made, takes in zip(found, wanted, strict=True))


def test_a_restart_forgets_what_was_read_ahead(inputs: dict[str, Input]) -> None:
    reader, wanted = clips(inputs), batches(inputs)
    with Loader(reader.batch, wanted, "cpu") as loader:
        next(loader)
        loader.restart(wanted[-1:])
        (last,) = loader
    assert same(last, reader.batch(wanted[-1]))


def test_reading_stays_a_little_ahead(inputs: dict[str, Input]) -> None:
    """Not at the end of the data at once: memory holds a few batches, whatever there is."""
    asked: list[int] = []

    def things() -> Iterator[list[Take]]:
        for number in range(20):
            asked.append(number)
            yield batches(inputs)[0]

    with Loader(clips(inputs).batch, things(), "cpu") as loader:
        next(loader)
        assert len(asked) == 1 + AHEAD_ON_CPU


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_no_thread_is_left_behind(inputs: dict[str, Input], error: type[BaseException]) -> None:
    with pytest.raises(error), Loader(clips(inputs).batch, batches(inputs), "cpu") as loader:
        next(loader)
        assert threads()
        raise error
    assert not threads()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("a defect")])
def test_training_that_is_broken_off_leaves_no_thread(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def broken(self: fake_face.FakeFace, clips: Clips) -> None:
        assert threads()
        raise error

    monkeypatch.setattr(fake_face.FakeFace, "losses", broken)
    with pytest.raises(type(error)):
        run(new_job(tmp_path, inputs))
    assert not threads()


def test_a_clip_that_cannot_be_read_is_named(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Sequences.vertices

    def torn(self: Sequences, name: str) -> np.ndarray:
        if name == "B_s01":
            raise OSError(5, "Input/output error")
        return read(self, name)

    monkeypatch.setattr(Sequences, "vertices", torn)
    with pytest.raises(DataError, match=r"B_s01 cannot be read: .*Input/output error"):
        run(new_job(tmp_path, inputs))
    assert not threads()


def test_counts_stay_where_they_are_read(inputs: dict[str, Input]) -> None:
    """A network looks at them as numbers, which on a GPU would wait for all work before."""
    batch = moved(clips(inputs).batch(batches(inputs)[0]), "meta")
    assert batch.frames is not None
    assert batch.vertices is not None
    assert batch.frames.device.type == batch.feature_lengths.device.type == "cpu"
    assert batch.vertices.device.type == batch.features.device.type == batch.template.device.type == "meta"
