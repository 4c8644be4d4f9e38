"""Which clips share a batch and a step, and the rate of each step: functions of seed, epoch and step alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from models.faceformer import Settings
from stages.train import Params, Train
from stages.train.clips import Take
from stages.train.order import Order, Work
from stages.train.schedule import rate

TAKES = [Take(f"A_s{number:03d}", 0) for number in range(203)]
LENGTHS = np.random.default_rng(0).integers(20, 400, len(TAKES)).tolist()
LENGTH = dict(zip(TAKES, LENGTHS, strict=True))


def options(**given: Any) -> Params:
    return Params(model="x", **given)


def order(seed: int = 0, **given: Any) -> Order:
    return Order(TAKES, LENGTHS, options(**given), seed)


def padding(batches: list[list[Take]]) -> float:
    """Share of the frames in batches that are padding."""
    padded = sum(len(batch) * max(LENGTH[take] for take in batch) for batch in batches)
    return 1 - sum(LENGTHS) / padded


@pytest.mark.parametrize("name", ["bucketed", "shuffled", "listed"])
def test_every_clip_is_seen_once_an_epoch(name: str) -> None:
    for epoch in range(3):
        batches = order(order=name, batch_size=8).batches(epoch)
        assert sorted(take for batch in batches for take in batch) == TAKES
        assert [len(batch) for batch in batches] == [8] * 25 + [3]


def test_bucketed_batches_hold_clips_of_like_length() -> None:
    bucketed, shuffled = (order(order=name, batch_size=8).batches(0) for name in ("bucketed", "shuffled"))
    assert padding(bucketed) < 0.5 * padding(shuffled)


def test_bucketed_batches_differ_from_epoch_to_epoch() -> None:
    """Also of a small data set, all of which would fit one window."""
    takes, lengths = TAKES[:40], LENGTHS[:40]
    small = Order(takes, lengths, options(batch_size=8), 0)
    one, two = ({frozenset(batch) for batch in small.batches(epoch)} for epoch in (0, 1))
    assert not one & two


def test_batches_of_one_clip_are_shuffled_as_ever() -> None:
    assert order().batches(4) == order(order="shuffled").batches(4)
    expected = np.random.default_rng([5, 4]).permutation(len(TAKES))
    assert order(seed=5).batches(4) == [[TAKES[i]] for i in expected]


def test_listed_is_the_order_of_the_data_set() -> None:
    assert [take for batch in order(order="listed", batch_size=7).batches(9) for take in batch] == TAKES


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    assert order(seed=1, batch_size=8).batches(2) == order(seed=1, batch_size=8).batches(2)
    assert order(seed=1, batch_size=8).batches(2) != order(seed=2, batch_size=8).batches(2)
    assert order(seed=1, batch_size=8).batches(2) != order(seed=1, batch_size=8).batches(3)


@pytest.mark.parametrize("count", [1, 2, 8, 9, 16, 17])
def test_small_sets_are_batched_too(count: int) -> None:
    batches = Order(TAKES[:count], LENGTHS[:count], options(batch_size=8), 0).batches(0)
    assert sorted(take for batch in batches for take in batch) == TAKES[:count]


def test_work_after_a_place_is_what_is_left() -> None:
    run = order(batch_size=8, accumulate=3, epochs=3)
    whole = list(run.after(0, 0))
    assert run.steps == 9
    assert len(whole) == 3 * 9
    assert list(run.after(1, 4)) == whole[9 + 4 :]
    assert [work.last for work in whole[:9]] == [False] * 8 + [True]


def test_released_accumulation_steps_whenever_the_index_is_a_multiple() -> None:
    """The rule, written out: step when i % n == 0, forget what is left."""
    run = order(accumulate=4, accumulation="released", order="listed")
    expected, kept = [], []
    for i, take in enumerate(TAKES):
        kept.append([take])
        if i % 4 == 0:
            expected.append(kept)
            kept = []
    works = run.epoch(0)
    assert [work.batches for work in works if work.moves] == expected
    assert [work.batches for work in works if not work.moves] == [kept]
    assert run.steps == len(expected)
    assert all(piece.weight == 1 for work in works for piece in work.pieces())
    whole = Order(TAKES[:5], LENGTHS[:5], options(accumulate=4, accumulation="released"), 0)
    assert [work.moves for work in whole.epoch(0)] == [True, True]
    every = order(accumulation="released").epoch(0)
    assert all(work.moves for work in every)
    assert len(every) == len(TAKES)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("most", [0, 1, 2])
@pytest.mark.parametrize("summed", [False, True])
def test_pieces_of_all_processes_weigh_what_one_would(size: int, most: int, summed: bool) -> None:
    work = Work([TAKES[:5], TAKES[5:6]], summed=summed)
    weights: dict[Take, float] = {}
    for rank in range(size):
        for piece in work.pieces(rank, size, most):
            assert not most or len(piece.takes) <= most
            weights |= dict.fromkeys(piece.takes, piece.weight / len(piece.takes))
    expected = [1 / 5] * 5 + [1.0] if summed else [1 / 6] * 6
    assert [weights[take] for take in TAKES[:6]] == pytest.approx(expected)
    assert work.largest(size) == math.ceil(5 / size)


def rates(**given: Any) -> list[float]:
    chosen = options(lr=1.0, epochs=4, **given)
    return [rate(step, chosen, steps=5) for step in range(20)]


def test_rates() -> None:
    assert rates() == [1.0] * 20
    assert rates(schedule="step", lr_step=2, lr_factor=0.1) == pytest.approx([1.0] * 10 + [0.1] * 10)
    linear = rates(schedule="linear", lr_end=0.2)
    assert linear == pytest.approx([1 - 0.8 * step / 20 for step in range(20)])
    cosine = rates(schedule="cosine", lr_end=0.2)
    assert cosine == pytest.approx([0.2 + 0.4 * (1 + math.cos(math.pi * step / 20)) for step in range(20)])


def test_warm_up_comes_before_what_falls() -> None:
    warm = rates(schedule="cosine", warmup=4)
    assert warm[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert warm[4:] == pytest.approx([0.5 * (1 + math.cos(math.pi * step / 16)) for step in range(16)])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"schedule": "step"}, "lr_step = 0, and schedule = 'step' needs"),
        ({"lr_step": 3}, "lr_step = 3 is read by schedule = 'step' only"),
        ({"lr_end": 0.1}, "lr_end = 0.1 is read by the schedules 'cosine' and 'linear' only"),
    ],
)
def test_words_that_nothing_would_read(given: dict[str, Any], sentence: str) -> None:
    (problem,) = Train(options(**given), {"model": Settings()}).check()
    assert problem.startswith(sentence)
