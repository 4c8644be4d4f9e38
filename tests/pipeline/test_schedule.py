"""What may start beside what, and with how much."""

from __future__ import annotations

import pytest

from pipeline.gpus import Gpu, Gpus
from pipeline.schedule import Busy, Demand, Grant, Machine, memory_of_machine

ANY, ALL = Demand(alone=False), Demand(alone=True)
GPU = Demand(alone=False, gpus=1)
MACHINE = Machine(threads=4, memory=100)


def none_lent(count: int) -> None:
    return None


def lent(count: int) -> Gpus:
    return Gpus(tuple(Gpu(number, str(number), str(number)) for number in range(count)))


def threads(ready: list[Demand], busy: list[Busy] | None = None, machine: Machine = MACHINE) -> dict[int, int]:
    return {place: grant.threads for place, grant in machine.grants(ready, busy or [], lent).items()}


@pytest.mark.parametrize(
    ("ready", "expected"),
    [
        ([], {}),
        ([ANY], {0: 4}),
        ([ALL], {0: 4}),
        ([ANY, ANY], {0: 2, 1: 2}),
        ([ANY, ANY, ANY], {0: 2, 1: 1, 2: 1}),
        ([ANY] * 6, {0: 1, 1: 1, 2: 1, 3: 1}),
        ([ALL, ANY], {0: 4}),
        ([ANY, ALL, ANY], {0: 2, 2: 2}),
        ([ALL, ALL], {0: 4}),
        ([GPU, ALL], {0: 4, 1: 4}),
        ([GPU, ANY, ANY], {0: 4, 1: 2, 2: 2}),
    ],
)
def test_threads(ready, expected) -> None:
    assert threads(ready) == expected


def test_what_runs_keeps_its_threads() -> None:
    busy = [Busy(ANY, Grant(3, 3))]
    assert threads([ANY, ANY], busy) == {0: 1, 1: 1}  # each has at least one
    assert threads([ALL], busy) == {}
    assert threads([ANY], [Busy(ALL, Grant(4, 4))]) == {}
    assert threads([ANY] * 4, [Busy(ANY, Grant(1, 1))]) == {0: 1, 1: 1, 2: 1}


def test_one_thread_runs_one_step_at_a_time() -> None:
    assert threads([ANY, ANY], machine=Machine(1, 100)) == {0: 1}


def test_declared_memory_adds_up_and_too_much_runs_alone() -> None:
    half, most, more = (Demand(alone=False, memory=size) for size in (50, 70, 200))
    assert list(threads([half, most, half])) == [0, 2]
    assert list(threads([more, half])) == [0]
    assert list(threads([half, more])) == [0]
    assert list(threads([ANY], [Busy(more, Grant(1, 1))])) == []


def test_a_step_without_a_gpu_for_it_waits_and_others_go() -> None:
    assert list(MACHINE.grants([GPU, ANY], [], none_lent)) == [1]


def test_memory_of_this_machine() -> None:
    assert memory_of_machine() > 100_000_000
