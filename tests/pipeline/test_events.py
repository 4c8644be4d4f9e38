"""Every run leaves a record that says what happened and why; reading it tells killed runs from those at work."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from cache.living import me
from pipeline import events, past
from pipeline.errors import Interrupted, RecipeError, StageError
from pipeline.execute import Choice, Means, run
from pipeline.recipe import load
from pipeline.workspace import Workspace
from tests.pipeline.conftest import Recorder
from tests.pipeline.test_cli import pipe


def go(*settings: str) -> Recorder:
    recorder = Recorder()
    run(load(Path("toy.toml"), settings), Workspace.find(), recorder, Choice(), Means("cpu", 1))
    return recorder


def told(here: Path) -> list[dict[str, Any]]:
    """The events of the newest run."""
    return [json.loads(line) for line in newest(here).read_text().splitlines()]


def newest(here: Path) -> Path:
    return max((here / ".pipe/runs").glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)


def test_a_run_from_its_beginning_to_its_end(here) -> None:
    go()
    found = told(here)
    assert (found[0]["event"], found[-1]["event"]) == ("run", "end")
    assert found[0]["recipes"] == {"toy": "toy.toml"}
    assert (found[0]["pid"], found[0]["device"], found[0]["threads"]) == (os.getpid(), "cpu", 1)
    assert found[-1]["exit"] == 0
    planned = {event["step"]: event for event in found if event["event"] == "planned"}
    assert [planned[step]["state"] for step in ("read", "double", "sum")] == ["to run", "waits", "waits"]
    assert planned["read"]["reason"] == "first run"
    done = {event["step"]: event for event in found if event["event"] == "done"}
    assert list(done) == ["read", "double", "sum"]
    assert {"seconds", "cpu_seconds", "peak_memory_mb", "key", "artifact", "device"} <= set(done["double"])
    assert done["double"]["counts"] == {"numbers": 3}
    assert done["double"]["artifact"].startswith("double/")


def test_reasons_hits_and_failures(here) -> None:
    go()
    with pytest.raises(StageError):
        go("step.double.factor=3", "step.double.stop_at=n1", "step.double.how=defect")
    found = told(here)
    what = {(event["event"], event.get("step", "")): event for event in found}
    assert what["cached", "read"]["text"].startswith("read/")
    assert what["running", "double"]["text"].startswith("parameter factor: 2.0 → 3.0")
    assert "n1: unexpected TypeError" in what["failed", "double"]["text"]
    assert what["not run", "sum"]["text"] == "because of double"
    assert what["end", ""]["exit"] == 1


def test_the_log_has_the_lines_that_the_user_saw(here) -> None:
    recorder = go()
    lines = newest(here).with_suffix(".log").read_text().splitlines()
    assert [line[10:] for line in lines] == recorder.lines


def test_a_run_with_nothing_to_do_leaves_none(here) -> None:
    go()
    before = sorted((here / ".pipe/runs").iterdir())
    go()
    pipe("run", "toy.toml")
    assert sorted((here / ".pipe/runs").iterdir()) == before


def test_a_folder_that_cannot_be_written_costs_one_warning(here) -> None:
    (here / ".pipe").mkdir()
    (here / ".pipe/runs").write_text("in the way")
    recorder = go()
    assert recorder.ran == ["read", "double", "sum"]
    (warning,) = [line for line in recorder.lines if line.startswith("warning")]
    assert warning.startswith("warning: no record of this run is kept:")


def test_progress_is_told_at_most_once_a_second(tmp_path, monkeypatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(events.time, "monotonic", lambda: clock[0])
    record = events.Record(tmp_path, "r")
    reporter = events.Told(Recorder(), record, {})
    for _ in reporter.track("s", range(100), 100, "items"):
        clock[0] += 0.1
    counted = [json.loads(line) for line in (tmp_path / f"{record.name}.jsonl").read_text().splitlines()]
    assert 8 <= len(counted) <= 11


def test_old_records_go(tmp_path) -> None:
    for number in range(events.KEPT + 60):
        (tmp_path / f"{number:04}.jsonl").touch()
        (tmp_path / f"{number:04}.log").touch()
    events.prune(tmp_path)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert len(left) == 2 * events.KEPT
    assert left[0] == "0060.jsonl"
    (tmp_path / "one-more.jsonl").touch()
    events.prune(tmp_path)  # not again for each run
    assert len(list(tmp_path.iterdir())) == 2 * events.KEPT + 1


# --- reading


def begun(here: Path, **change: Any) -> Path:
    """A record that has no end."""
    folder = here / ".pipe/runs"
    folder.mkdir(parents=True, exist_ok=True)
    first = {
        "t": 1.0,
        "event": "run",
        "recipes": {"toy": "toy.toml"},
        "command": ["pipe"],
        **me(),
        **change,
    }
    lines = [
        first,
        {"t": 1.0, "event": "planned", "recipe": "toy", "step": "a", "state": "to run", "reason": "first run"},
    ]
    lines += [{"t": 1.5, "event": "running", "recipe": "toy", "step": "a", "text": "first run"}]
    lines += [{"t": 2.0, "event": "progress", "recipe": "toy", "step": "a", "done": 3, "total": 9, "unit": "items"}]
    path = folder / "20260101-000000-toy-abcd.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + '\n{"t": 3.0, "eve')
    return folder


def test_runs_lists_them_newest_first(here, capsys) -> None:
    go()
    with pytest.raises(Interrupted):
        go("step.double.factor=3", "step.double.stop_at=n1")
    assert pipe("runs") == 0
    head, last, first = capsys.readouterr().out.splitlines()
    assert head.split() == ["run", "when", "ran", "cached", "failed", "time", "end"]
    assert "-toy-" in last
    assert (last.split()[3:6], last.split()[-1]) == (["0", "1", "0"], "interrupted")
    assert (first.split()[3:6], first.split()[-1]) == (["3", "0", "0"], "ok")
    pipe("runs", "--limit", "1", "--json")
    (only,) = json.loads(capsys.readouterr().out)
    assert only["end"] == "interrupted"
    assert {step["step"]: step["state"] for step in only["steps"]} == {
        "read": "cached",
        "double": "stopped",
        "sum": "not run",
    }
    pipe("runs", "--recipe", "other")
    assert capsys.readouterr().out.startswith("no runs are on record")


def test_show_tells_one(here, capsys) -> None:
    go()
    assert pipe("show", "last") == 0
    text = capsys.readouterr().out
    assert "ok" in text.splitlines()[0]
    row = next(line for line in text.splitlines() if line.startswith("  double"))
    assert "first run → double/" in row
    assert re.search(r"\d [MG]B ", row)
    pipe("show", "toy", "--json")
    assert json.loads(capsys.readouterr().out)["events"][0]["event"] == "run"


def test_the_last_is_the_last_that_can_be_read(here, capsys) -> None:
    go()
    for text in ("", "torn", '{"t": "now", "event": "run"}'):
        (here / ".pipe/runs/99999999-strange.jsonl").write_text(text)
        assert pipe("show", "last") == 0
        assert pipe("runs") == 0
        assert "strange" not in capsys.readouterr().out


def test_show_of_what_is_not_there_or_not_one(here, capsys) -> None:
    assert pipe("show", "last") == 2
    assert "no such run" in capsys.readouterr().err
    go()
    go("step.sum.weight=2")
    assert pipe("show", "toy") == 2
    assert "2 runs are called so" in capsys.readouterr().err


def test_a_run_at_work_shows_how_far_it_is(here, capsys) -> None:
    begun(here)
    pipe("runs")
    assert "running: a 3 of 9 items" in capsys.readouterr().out


def test_show_tells_what_goes_on_in_a_step_at_work(here, capsys) -> None:
    (record,) = begun(here).glob("*.jsonl")
    event = {"t": 2.0, "event": "watch", "recipe": "toy", "step": "a", "text": "loss 0.5"}
    record.write_text(record.read_text().rpartition("\n")[0] + f"\n{json.dumps(event)}\n")
    assert pipe("show", "last") == 0
    assert "3 of 9 items · loss 0.5" in capsys.readouterr().out


@pytest.mark.parametrize("change", [{"pid": 2**22 + 1}, {"started": "1"}, {"pid": None}])
def test_a_killed_run_is_known_by_its_dead_process(here, capsys, change) -> None:
    folder = begun(here, **change)
    found = past.find(folder, "last")
    assert found.end == "killed"
    assert [(step.state, step.text) for step in found.steps] == [("killed", "3 of 9 items")]
    pipe("show", "last")
    assert "killed" in capsys.readouterr().out


def test_of_another_machine_nothing_is_claimed(here, capsys) -> None:
    begun(here, host="far-" + socket.gethostname())
    pipe("runs")
    assert "unknown, on far-" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "[]\n3\n", '{"t": 1.0, "event": "end"}\n', "\0\0\0", '{"t": 1, "event": "run"}'])
def test_files_that_are_no_records(here, capsys, text) -> None:
    go()
    (here / ".pipe/runs/99990101-000000-odd-0000.jsonl").write_text(text)
    assert pipe("runs") == 0
    assert "-toy-" in capsys.readouterr().out
    with pytest.raises(RecipeError, match="nothing: there is no such run"):
        past.find(here / ".pipe/runs", "nothing")
