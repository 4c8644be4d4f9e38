"""Kills, full disks and input/output errors at every call: `python -m benchmarks.faults`.

All points of all scenarios of `tests/cache/fault_actions.py`, of which the tests take a part: the action is stopped at
the n-th call that changes the disk, then repeated, and must end with the right bytes in a store without anything
half-made.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.cache.fault_actions import SCENARIOS, Scenario
from tests.cache.faults import kill_points, run_until, without_sync


def try_all(scenario: Scenario, how: str, folder: Path) -> tuple[int, list[str]]:
    """Points tried, and what went wrong."""
    count, wrong = kill_points(scenario.action, scenario.prepared(folder / "count")), []
    for n in range(1, count + 1):
        place = scenario.prepared(folder / str(n))
        run_until(scenario.action, place, n=n, how=how)
        try:
            scenario.action(place)
            scenario.check(place)
        except Exception as error:
            wrong.append(f"{scenario.name}, {how} at call {n}: {type(error).__name__}: {error}")
    return count, wrong


def main() -> int:
    total, started, faults = 0, time.monotonic(), []
    for scenario in SCENARIOS:
        for how in ("kill", "full", "broken"):
            with tempfile.TemporaryDirectory() as folder, without_sync():
                count, wrong = try_all(scenario, how, Path(folder))
            print(f"{scenario.name:<16} {how:<7} {count:4d} points, {len(wrong)} wrong", flush=True)
            total, faults = total + count, faults + wrong
    print(f"{total} points in {time.monotonic() - started:.0f} s", *faults, sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
