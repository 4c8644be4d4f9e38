"""Killed at any call that changes the disk, or out of space from it on: the next run ends with the right bytes.

The suite takes a spread of the points where there are many; all of them: `python -m benchmarks.faults`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cache import fault_actions as act
from tests.cache.faults import kill_points, run_until, without_sync

MOST = {"kill": 80, "full": 12, "broken": 12}
"""Points of one scenario that are tried; all of them take a minute."""


def points(scenario: act.Scenario, folder: Path, how: str) -> list[int]:
    """The numbers of the calls to interrupt: an even spread, and the last ones always."""
    count = kill_points(scenario.action, scenario.prepared(folder / "count"))
    return sorted({*range(1, count + 1, -(-count // MOST[how])), *range(max(1, count - 3), count + 1)})


@pytest.mark.parametrize("how", ["kill", "full", "broken"])
@pytest.mark.parametrize("scenario", act.SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_point(scenario, how, tmp_path) -> None:
    with without_sync():
        for n in points(scenario, tmp_path, how):
            folder = scenario.prepared(tmp_path / str(n))
            outcome = run_until(scenario.action, folder, n=n, how=how)
            assert outcome.killed == (how == "kill"), f"call {n}"
            if how == "full":
                assert_sentence(outcome.error, f"call {n}")
            scenario.action(folder)
            scenario.check(folder)


def assert_sentence(error: str, where: str) -> None:
    """A full disk is said to be one. No error where nothing but removing was left to do."""
    told = "is full" in error or "(No space left on device)" in error
    assert not error or (told and error.startswith(("CacheError:", "StageError:"))), f"{where}: {error}"


def test_there_are_enough_points(tmp_path) -> None:
    counts = [kill_points(s.action, s.prepared(tmp_path / s.name)) for s in act.SCENARIOS]
    assert sum(counts) >= 200, counts
