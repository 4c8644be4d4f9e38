"""`pipe runs` and `pipe show RUN`: what was run, what became of it, and what it took."""

from __future__ import annotations

import json
import time
from itertools import islice
from typing import Any

from pipeline import events, past
from pipeline.past import Run, StepRun
from pipeline.progress import duration, size_text, table
from pipeline.toml import shown
from pipeline.workspace import Workspace


def runs(workspace: Workspace, recipe: str, limit: int, *, as_json: bool) -> None:
    """List runs, the newest first."""
    folder = workspace.store.root / events.FOLDER
    fitting = (run for run in past.runs(folder) if not recipe or recipe in run.recipes)
    found = list(islice(fitting, limit or None))
    if as_json:
        print(json.dumps([_summary(run) for run in found], indent=1))
    elif found:
        print(table([_row(run) for run in found], ("run", "when", "ran", "cached", "failed", "time", "end")))
    else:
        print(f"no runs are on record in {shown(folder)}")


def _row(run: Run) -> tuple[Any, ...]:
    made, cached, failed = run.count("done"), run.count("cached"), run.count("failed")
    return run.name, _when(run), made, cached, failed, duration(run.seconds), _end(run)


def _end(run: Run) -> str:
    """How it ended, or how far it is."""
    if run.end == "running":
        at_work = ", ".join(f"{step.step} {step.text}".rstrip() for step in run.steps if step.state == "running")
        return f"running: {at_work}" if at_work else "running"
    return f"unknown, on {run.first.get('host')}" if run.end == "unknown" else run.end


def _when(run: Run) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(run.first["t"])))


def show(workspace: Workspace, name: str, *, as_json: bool) -> None:
    """One run: its steps with reasons, times and memory, its warnings and errors."""
    folder = workspace.store.root / events.FOLDER
    run = past.find(folder, name)
    if as_json:
        print(json.dumps(_summary(run) | {"events": run.events}, indent=1))
        return
    first = run.first
    print(f"{run.name}  {_end(run)}, {duration(run.seconds)}")
    print(f"  {' '.join(first.get('command', []))}")
    where = f"{first.get('host')}, process {first.get('pid')}, device {first.get('device')}"
    print(f"  {_when(run)} on {where}, {first.get('threads')} threads; commit {first.get('git') or 'unknown'}")
    rows = [_step_row(step, several=len(run.recipes) > 1) for step in run.steps]
    print(table(rows, ("  step", "", "time", "cpu", "memory", "")))
    for title, lines in (("warning", run.warnings), ("error", run.errors)):
        for line in lines:
            print("\n".join(f"{title}: {part}" for part in line.splitlines()))
    print(f"log: {shown(folder / (run.name + '.log'))}")


def _step_row(step: StepRun, *, several: bool) -> tuple[str, ...]:
    facts = step.facts
    times = [duration(facts[name]) if name in facts else "" for name in ("seconds", "cpu_seconds")]
    if step.state == "running" and step.started:
        times[0] = duration(time.time() - step.started)
    memory = size_text(facts["peak_memory_mb"] * 1e6) if "peak_memory_mb" in facts else ""
    if "gpu_peak_memory_mb" in facts:
        memory += f" + {size_text(facts['gpu_peak_memory_mb'] * 1e6)} GPU"
    name = f"{step.recipe}/{step.step}" if several else step.step
    return f"  {name}", step.state, *times, memory, _why(step)


def _why(step: StepRun) -> str:
    if step.state == "done":
        return f"{step.reason} → {step.facts.get('artifact', '')}"
    if step.state == "running" and step.watch:
        return " · ".join(filter(None, (step.text, step.watch)))
    text = (step.text or step.reason).partition("\n")[0]
    return step.reason if step.state == "cached" else text


def _summary(run: Run) -> dict[str, Any]:
    return {
        "run": run.name,
        "recipes": run.recipes,
        "started": run.first["t"],
        "seconds": round(run.seconds, 3),
        "end": run.end,
        "exit": run.exit,
        "steps": [vars(step) for step in run.steps],
        "warnings": run.warnings,
        "errors": run.errors,
    }
