"""Reading the records of earlier runs, and of those at work.

A line that is torn or strange counts as absent, a file without a first event as no run. A run without a last event is
at work while its process lives, and was killed otherwise; of another machine's processes nothing is known here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from cache.living import lives, me
from pipeline.errors import RecipeError

ENDS: Mapping[int, str] = {0: "ok", 75: "interrupted"}
STATES = ("cached", "running", "done", "failed", "stopped", "not run", "waiting")
"""Events that say what became of a step."""
FACTS = ("seconds", "cpu_seconds", "peak_memory_mb", "gpu_peak_memory_mb", "device", "artifact", "key", "counts")


@dataclass
class StepRun:
    """A step in a run. reason: why it ran, or which artifact it had. text: how it ended, or how far it is. watch: what
    it told of itself last."""

    recipe: str
    step: str
    state: str = "to run"
    reason: str = ""
    text: str = ""
    watch: str = ""
    started: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A run, from its events."""

    name: str
    events: Sequence[Mapping[str, Any]]

    @property
    def first(self) -> Mapping[str, Any]:
        return self.events[0]

    @property
    def recipes(self) -> list[str]:
        return list(self.first.get("recipes", {}))

    @property
    def exit(self) -> int | None:
        """The exit code; None where the run has not ended by itself."""
        code = self.events[-1].get("exit")
        return int(code) if self.events[-1]["event"] == "end" and code is not None else None

    @cached_property
    def end(self) -> str:
        """ "ok", "failed", "interrupted", "killed", "running", or "unknown" for a process of another machine."""
        if self.exit is not None:
            return ENDS.get(self.exit, "failed")
        if self.first.get("host") != me()["host"]:
            return "unknown"
        return "running" if lives(self.first) else "killed"

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far, as far as its events tell."""
        last = time.time() if self.end == "running" else float(self.events[-1]["t"])
        return last - float(self.first["t"])

    @cached_property
    def steps(self) -> list[StepRun]:
        """What became of each step."""
        found: dict[tuple[str, str], StepRun] = {}
        for event in self.events:
            if "step" in event:
                name = (str(event.get("recipe", "")), str(event["step"]))
                _happened(found.setdefault(name, StepRun(*name)), event)
        if self.end in ("killed", "interrupted", "failed"):
            for step in found.values():
                step.state = {"running": self.end, "to run": "not run", "waiting": "not run"}.get(
                    step.state, step.state
                )
        return list(found.values())

    def count(self, *states: str) -> int:
        return sum(step.state in states for step in self.steps)

    @property
    def warnings(self) -> list[str]:
        return [_with_step(event) for event in self.events if event["event"] == "warning"]

    @property
    def errors(self) -> list[str]:
        return [str(event["text"]) for event in self.events if event["event"] == "error"]


def _happened(step: StepRun, event: Mapping[str, Any]) -> None:
    what = str(event["event"])
    step.facts |= {name: event[name] for name in FACTS if name in event}
    if what == "planned":
        step.state = {"blocked": "blocked"}.get(str(event.get("state")), "to run")
        step.reason = str(event.get("reason", ""))
    elif what == "progress":
        total = f" of {event['total']}" if event.get("total") else ""
        step.text = f"{event['done']}{total} {event['unit']}"
    elif what == "watch":
        step.watch = str(event.get("text", ""))
    elif what in STATES:
        step.state, step.text = what, str(event.get("text", ""))
        if what == "running":
            step.started, step.reason, step.text = float(event["t"]), step.text, ""
        elif what == "cached":
            step.reason = step.text


def _with_step(event: Mapping[str, Any]) -> str:
    text = str(event.get("text", "")).removeprefix("warning: ")
    return f"{event['step']}: {text}" if "step" in event else text


def runs(folder: Path) -> Iterator[Run]:
    """All runs, the newest first, read one by one."""
    for name in names(folder):
        run = read(folder, name)
        if run is not None:
            yield run


def names(folder: Path) -> list[str]:
    """The newest first."""
    return sorted((path.stem for path in folder.glob("*.jsonl")), reverse=True)


def read(folder: Path, name: str) -> Run | None:
    """A run, or None where its file is not one."""
    found: list[Mapping[str, Any]] = []
    try:
        lines = (folder / f"{name}.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "event" in event and isinstance(event.get("t"), int | float):
            found.append(event)
    return Run(name, found) if found and found[0]["event"] == "run" else None


def find(folder: Path, word: str) -> Run:
    """The run that a word means: "last", a name, or a part that only one has. RecipeError otherwise."""
    known = names(folder)
    fitting = [name for name in known if word == name] or [name for name in known if word in name]
    if word == "last":
        fitting = [run.name for run in islice(runs(folder), 1)]
    run = read(folder, fitting[0]) if len(fitting) == 1 else None
    if run is None:
        what = f"{len(fitting)} runs are called so: {', '.join(fitting[:5])}" if fitting[1:] else "there is no such run"
        raise RecipeError(f"{word}: {what}; `pipe runs` lists them")
    return run
