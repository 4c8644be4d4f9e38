"""Only what changed runs; nothing finished is lost; what failed is said in a sentence."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cache.lease import lease
from cache.work import Work
from pipeline.errors import Interrupted, RecipeError, StageError
from pipeline.execute import Choice, Means, run
from pipeline.plan import State, plan
from pipeline.recipe import load
from tests.pipeline.conftest import Recorder
from tests.pipeline.toy import Double


def go(workspace, *settings: str, choice: Choice | None = None) -> Recorder:
    recorder = Recorder()
    run(load(Path("toy.toml"), settings), workspace, recorder, choice or Choice(), Means("cpu", 1))
    return recorder


def states(workspace, *settings: str) -> dict[str, str]:
    planned = plan(load(Path("toy.toml"), settings), workspace)
    return {name: entry.state.value for name, entry in planned.items()}


def total(here: Path) -> dict[str, float]:
    return json.loads((here / "outputs/toy/sum/total.json").read_text())


def test_first_run_makes_everything_and_the_second_nothing(here, workspace) -> None:
    assert go(workspace).ran == ["read", "double", "sum"]
    assert total(here) == {"total": 12.0, "seed": 7}
    assert go(workspace).ran == []
    assert set(states(workspace).values()) == {"cached"}


def test_what_was_hashed_for_a_plan_is_kept_although_the_run_is_killed(here, workspace, monkeypatch) -> None:
    for file in here.rglob("*"):  # what is younger than the clock's grain is not remembered
        os.utime(file, ns=(0, 0))
    time.sleep(0.05)
    saved: list[bool] = []
    monkeypatch.setattr(
        "pipeline.execute.recorded", lambda *_, **__: saved.append(workspace.stats._changed) or _killed()
    )
    with pytest.raises(KeyboardInterrupt):
        go(workspace)
    assert saved == [False]
    assert workspace.stats._path.is_file()


def _killed():
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("setting", "ran"),
    [
        ("step.sum.weight=2", ["sum"]),
        ("step.double.factor=3", ["double", "sum"]),
        ("step.read.offset=1", ["read", "double", "sum"]),
        ("recipe.seed=8", ["sum"]),
        ("step.double.stop_at=nothing", []),
        ("step.double.root=/elsewhere", []),
    ],
)
def test_one_setting_reruns_what_it_touches(workspace, setting, ran) -> None:
    go(workspace)
    assert go(workspace, setting).ran == ran
    assert go(workspace, setting).ran == []
    assert go(workspace).ran == []  # the earlier results are still there


def test_an_edited_input_reruns_and_equal_bytes_stop_the_wave(here, workspace) -> None:
    go(workspace)
    (here / "numbers.txt").write_text("1\n2\n\n3\n")  # other bytes, same numbers
    assert go(workspace).ran == ["read"]
    (here / "numbers.txt").write_text("1\n2\n4\n")
    assert go(workspace).ran == ["read", "double", "sum"]


def test_a_part_that_a_stage_does_not_read_does_not_touch_it(here, workspace) -> None:
    """Only notes.txt differs between offset 0 with 1 2 3 and offset 1 with 0 1 2."""
    go(workspace)
    (here / "numbers.txt").write_text("0\n1\n2\n")
    assert go(workspace, "step.read.offset=1").ran == ["read"]


def test_choice_of_steps(here, workspace) -> None:
    assert go(workspace, choice=Choice(until="double")).ran == ["read", "double"]
    assert go(workspace, choice=Choice(only="sum")).ran == ["sum"]
    assert go(workspace, "step.double.factor=5", choice=Choice(start="double")).ran == ["double", "sum"]
    with pytest.raises(RecipeError, match=r"step 'sum' reads from 'double', which is left out .* has no result yet"):
        go(workspace, "step.double.factor=6", choice=Choice(only="sum"))
    with pytest.raises(RecipeError, match="no step 'summ'"):
        go(workspace, choice=Choice(only="summ"))


def test_force_runs_again_and_keeps_the_rest_cached(here, workspace) -> None:
    go(workspace)
    assert go(workspace, choice=Choice(force=frozenset({"double"}))).ran == ["double"]
    assert go(workspace).ran == []


def test_outputs_show_the_current_artifact(here, workspace) -> None:
    go(workspace)
    link = here / "outputs/toy/double"
    first = os.readlink(link)
    assert not os.path.isabs(first)
    go(workspace, "step.double.factor=3")
    assert os.readlink(link) != first
    go(workspace)
    assert os.readlink(link) == first


def test_something_in_the_way_of_an_output_link(here, workspace) -> None:
    (here / "outputs/toy/read").mkdir(parents=True)
    with pytest.raises(StageError, match=r"outputs/toy/read is in the way"):
        go(workspace)


@pytest.mark.parametrize(
    ("how", "error", "sentence"),
    [
        ("interrupt", Interrupted, "step 'double': asked to stop"),
        ("ctrl-c", Interrupted, "step 'double' was stopped; what it had finished is kept"),
        ("defect", StageError, "step 'double': n1: unexpected TypeError: a bug .*--debug"),
        ("full", StageError, "step 'double': n1: the disk is full; what was finished is kept"),
        ("full numpy", StageError, "step 'double': n1: the disk is full"),
        ("full library", StageError, "step 'double': n1: the disk is full"),
    ],
)
def test_a_step_that_fails_keeps_what_it_finished(here, workspace, how, error, sentence) -> None:
    with pytest.raises(error, match=sentence):
        go(workspace, "step.double.stop_at=n1", f"step.double.how={how}")
    assert states(workspace) == {"read": "cached", "double": "to run", "sum": "waits"}
    assert Double.made == ["n0"]
    go(workspace)
    assert Double.made == ["n0", "n1", "n2"]
    assert total(here)["total"] == 12.0


def test_half_written_leftovers_are_not_published(here, workspace) -> None:
    with pytest.raises(Interrupted):
        go(workspace, "step.double.stop_at=n1")
    (work,) = (here / ".pipe/work").glob("double-*")
    (work / "out" / "stale.txt").write_text("from a killed attempt")
    (work / "out" / "n0.txt").write_text("torn to another size")
    with (work / "journal.jsonl").open("a") as journal:
        journal.write('["numbers/n2", {"out/n')
    go(workspace)
    assert sorted(path.name for path in (here / "outputs/toy/double/").glob("*.txt")) == ["n0.txt", "n1.txt", "n2.txt"]
    assert (here / "outputs/toy/double/n0.txt").read_text() == "2.0"


def test_a_damaged_result_is_rebuilt_and_never_served(here, workspace) -> None:
    go(workspace)
    victim = next((here / ".pipe/double").glob("*/n1.txt"))
    victim.chmod(0o644)
    victim.write_text("")
    planned = plan(load(Path("toy.toml")), workspace)
    assert planned["double"].reason == "the stored result is damaged: n1.txt has 0 bytes instead of 3"
    assert go(workspace).ran == ["double"]
    assert total(here)["total"] == 12.0


def test_missing_input_is_told_before_anything_runs(here, workspace) -> None:
    (here / "numbers.txt").unlink()
    with pytest.raises(RecipeError, match=r"step 'read': .*numbers.txt is missing"):
        go(workspace)
    with pytest.raises(RecipeError, match=r"the folder .*nowhere does not exist, so n.txt .* \(file = .*, --set\)"):
        go(workspace, "step.read.file=nowhere/n.txt")
    assert not list((here / ".pipe").glob("*/*--*"))


def double_work(workspace) -> Work:
    """The work folder of the step `double`, once `read` is there."""
    go(workspace, choice=Choice(until="read"))
    planned = plan(load(Path("toy.toml")), workspace)
    return workspace.store.work("double", planned["double"].key)


def test_a_second_run_that_does_not_wait_is_refused(workspace) -> None:
    work = double_work(workspace)
    with (
        lease(work.lease),
        pytest.raises(StageError, match=f"'double': process {os.getpid()} on .* already making this"),
    ):
        run(load(Path("toy.toml")), workspace, Recorder(), Choice(), Means("cpu", 1, wait=False))
    assert Double.made == []


def test_a_second_run_waits_and_finds_what_the_first_made(workspace) -> None:
    work, recorder = double_work(workspace), Recorder()
    with workspace.store.making("double", work.key, "double") as held:
        thread = threading.Thread(target=go_with, args=(workspace, recorder))
        thread.start()
        until(lambda: any("waiting" in line for line in recorder.lines))
        for number in (1, 2, 3):
            (held.out / f"n{number - 1}.txt").write_text(str(2.0 * number))
        workspace.store.publish(held, "double", "doubled", {}, {"reason": "by another process"})
    thread.join()
    assert [line for line in recorder.lines if "waiting" in line] == [
        line for line in recorder.lines if f"waiting   for {os.getpid()} on " in line and "(double, since " in line
    ]
    assert recorder.ran == ["sum"]
    assert Double.made == []


def go_with(workspace, recorder: Recorder) -> None:
    run(load(Path("toy.toml")), workspace, recorder, Choice(), Means("cpu", 1))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_waiting_ends_with_ctrl_c(workspace) -> None:
    work, recorder = double_work(workspace), Recorder()
    recorder.line = lambda text: os.kill(os.getpid(), signal.SIGINT) if "waiting   for" in text else None
    with lease(work.lease), pytest.raises(Interrupted, match="'double': stopped while waiting for another process"):
        go_with(workspace, recorder)
    assert not list(work.path.parent.glob("double-*"))


def test_a_run_that_was_taken_for_dead_uses_what_the_other_made(here, workspace, monkeypatch) -> None:
    real, times = Double.run, []

    def taken_over(self: Double, job) -> None:
        real(self, job)
        times.append(1)
        (lease_folder,) = (here / ".pipe/work").glob("double-*.lease")
        next(lease_folder.iterdir()).unlink()
        with workspace.store.making("double", key) as work:
            for name in ("n0.txt", "n1.txt", "n2.txt"):
                (work.out / name).write_text("50.0")
            workspace.store.publish(work, "double", "doubled", {}, {})

    key = double_work(workspace).key
    monkeypatch.setattr(Double, "run", taken_over)
    recorder = go(workspace)
    assert any("lost" in line and "taken for dead while it was suspended" in line for line in recorder.lines)
    assert times == [1]
    assert total(here)["total"] == 150.0


def test_a_killed_stage_finds_no_folders_in_its_way(here, workspace) -> None:
    go(workspace)
    (artifact,) = (here / ".pipe/read").iterdir()
    shutil.rmtree(artifact)
    planned = plan(load(Path("toy.toml")), workspace)
    work = workspace.store.work("read", planned["read"].key)
    workspace.store.begin(work)
    (work.out / "numbers").mkdir()
    assert go(workspace).ran == ["read"]


def test_record_tells_how_it_came_about(here, workspace) -> None:
    go(workspace)
    record = json.loads((here / "outputs/toy/sum/record.json").read_text())
    made = record["provenance"]
    assert made["recipe"] == "toy"
    assert made["params"] == {"weight": 1.0}
    assert made["reason"] == "first run"
    assert record["key"]["seed"] == 7
    assert "tests.pipeline.toy" in record["key"]["code"]


def test_reasons(here, workspace) -> None:
    go(workspace)
    planned = plan(load(Path("toy.toml"), ["step.double.factor=3"]), workspace)
    assert planned["double"].state is State.TO_RUN
    assert planned["double"].reason.startswith("parameter factor: 2.0 → 3.0")
    assert planned["sum"].state is State.WAITS
    (here / "numbers.txt").write_text("5")
    assert plan(load(Path("toy.toml")), workspace)["read"].reason == "file numbers changed   numbers.txt"


def test_force_begins_from_nothing(here, workspace, monkeypatch) -> None:
    with pytest.raises(Interrupted):
        go(workspace, "step.double.stop_at=n1")
    (work,) = (path for path in (here / ".pipe/work").glob("double-*") if path.is_dir())
    (work / "state" / "training.pt").write_text("half way")
    real, seen = Double.run, []

    def look(self: Double, job) -> None:
        seen.extend(job.state.iterdir())
        real(self, job)

    monkeypatch.setattr(Double, "run", look)
    go(workspace, choice=Choice(force=frozenset({"double"})))
    assert Double.made == ["n0", "n0", "n1", "n2"]
    assert seen == []


def test_force_of_a_step_that_is_left_out(here, workspace) -> None:
    with pytest.raises(RecipeError, match="--force read: this step is left out"):
        go(workspace, choice=Choice(only="sum", force=frozenset({"read"})))


def test_a_device_that_is_none_or_not_there(here, workspace) -> None:
    with pytest.raises(RecipeError, match="--device 'nonsense': write auto, cpu"):
        run(load(Path("toy.toml")), workspace, Recorder(), Choice(), Means("nonsense", 1))


def test_outputs_that_cannot_be_made_are_told_before_anything_runs(here, workspace) -> None:
    (here / "outputs").write_text("a file")
    with pytest.raises(StageError, match=r"outputs cannot hold the links to results .* --outputs"):
        go(workspace)
    assert not list((here / ".pipe").glob("*/*--*"))


def test_files_outside_the_work_folder_are_refused(here, workspace, monkeypatch) -> None:
    def stray(self: Double, job) -> None:
        def make(item: str) -> list[Path]:
            (here / "stray.txt").write_text("x")
            return [here / "stray.txt"]

        job.each(["../stray"], make)

    monkeypatch.setattr(Double, "run", stray)
    with pytest.raises(StageError, match="was written outside its folder"):
        go(workspace)


@pytest.mark.parametrize("damage", ["{}", "[]", "3", "torn"])
@pytest.mark.parametrize("file", ["manifest.json", "record.json"])
def test_damaged_bookkeeping_is_rebuilt(here, workspace, file, damage) -> None:
    go(workspace)
    victim = next((here / ".pipe/double").glob(f"*/{file}"))
    victim.write_text(damage)
    assert go(workspace).ran == ["double"]
    assert go(workspace, "step.double.factor=3").ran == ["double", "sum"]
