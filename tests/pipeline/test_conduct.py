"""Steps run at once as far as the machine goes; what fails or stops touches nothing that does not hang on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import Interrupted, StageError
from pipeline.execute import Choice, Means, run_all
from pipeline.recipe import load
from pipeline.workspace import Workspace
from tests.pipeline.conftest import Recorder
from tests.pipeline.toy_meeting import PATIENCE_S, until

ROOT = Path(__file__).parents[2]


def step(name: str, before: str = "", **params: object) -> str:
    lines = [f"[step.{name}]", 'stage = "tests.pipeline.toy_meeting:Meet"', f'name = "{name}"', 'room = "room"']
    lines += [f"{key} = {json.dumps(value)}" for key, value in params.items()]
    return "\n".join([*lines, f'inputs = {{ before = "{before}" }}' if before else "", ""])


@pytest.fixture
def room(here: Path) -> Path:
    (here / "room").mkdir()
    return here / "room"


def write(name: str, *steps: str) -> Path:
    path = Path(f"{name}.toml")
    path.write_text("\n".join(steps))
    return path


def go(*paths: Path, jobs: int = 2, choice: Choice | None = None) -> Recorder:
    recorder = Recorder()
    recipes = [load(path) for path in paths]
    run_all(recipes, Workspace.find(), recorder, choice or Choice(), Means("cpu", jobs))
    return recorder


def signed(room: Path, name: str) -> list[Path]:
    return sorted(room.glob(f"{name}.*"))


def payload(here: Path, recipe: str) -> dict[str, str]:
    return {
        str(path.relative_to(here / "outputs" / recipe)): path.read_text()
        for path in (here / "outputs" / recipe).glob("*/*.txt")
    }


def test_independent_steps_run_at_once_each_in_a_process(here, room) -> None:
    recorder = go(write("two", step("a", guests=["b"]), step("b", guests=["a"])))
    pids = {path.suffix for name in "ab" for path in signed(room, name)}
    assert len(pids) == 2
    assert f".{os.getpid()}" not in pids
    assert [path.read_text() for path in room.iterdir()] == ["1", "1"]  # two threads, shared
    assert sorted(recorder.ran) == ["a", "b"]
    assert {"a", "b"} <= {line.split()[0] for line in recorder.lines if "is done" in line}  # what a child says


def test_what_goes_on_in_a_child_is_told_as_often_as_one_can_see(here, room) -> None:
    recorder = go(write("two", step("a", guests=["b"], how="watch"), step("b", guests=["a"])))
    assert recorder.watched[0] == ("a", "number 0")
    assert len(recorder.watched) < 500
    assert {name for name, _ in recorder.watched} == {"a"}


def test_what_goes_on_is_on_record_now_and_then(here, room) -> None:
    recorder = go(write("one", step("a", how="watch")))
    assert recorder.watched == [("a", f"number {number}") for number in range(1000)]
    (record,) = (here / ".pipe/runs").glob("*.jsonl")
    told = [event for event in map(json.loads, record.read_text().splitlines()) if event["event"] == "watch"]
    assert [(event["step"], event["text"]) for event in told] == [("a", "number 0")]


def test_a_step_alone_runs_in_this_process_with_all_threads(here, room) -> None:
    go(write("one", step("a"), step("b", "a")), jobs=3)
    assert [path.name for path in signed(room, "a")] == [f"a.{os.getpid()}"]
    assert {path.read_text() for path in room.iterdir()} == {"3"}


def test_steps_that_need_all_threads_run_beside_no_other(here, room) -> None:
    go(write("all", step("a", threads="all"), step("b", threads="all")), jobs=4)
    assert {path.suffix for path in room.iterdir()} == {f".{os.getpid()}"}
    assert {path.read_text() for path in room.iterdir()} == {"4"}


def test_bytes_and_keys_do_not_depend_on_company(here, room) -> None:
    recipe = write("same", step("a"), step("b", "a"), step("c", "a", items=3), step("d", "b"))
    go(recipe, jobs=3)
    together = payload(here, "same"), sorted(os.listdir(here / ".pipe/meet"))
    (here / ".pipe").rename(here / "first")
    go(recipe, jobs=1)
    assert (payload(here, "same"), sorted(os.listdir(here / ".pipe/meet"))) == together
    for name in os.listdir(here / ".pipe/meet"):
        manifests = [
            (store / "meet" / name / "manifest.json").read_bytes() for store in (here / "first", here / ".pipe")
        ]
        assert manifests[0] == manifests[1]


def test_recipes_in_one_command_share_steps_and_run_at_once(here, room) -> None:
    common = step("a")
    first = write("first", common, step("b", "a", guests=["c"]))
    second = write("second", common, step("c", "a", guests=["b"]))
    recorder = go(first, second)
    assert len(signed(room, "a")) == 1
    assert sorted(recorder.ran) == ["first/a", "first/b", "second/c"]
    assert any(line.split()[:2] == ["second/a", "cached"] for line in recorder.lines)
    assert (here / "outputs/second/a/é0.txt").read_text() == "a é0"


def test_a_failing_step_lets_independent_ones_finish(here, room) -> None:
    recipe = write("fails", step("a", how="fail"), step("b", "a"), step("c", "b"), step("d"), step("e", "d"))
    with pytest.raises(StageError) as caught:
        go(recipe)
    assert str(caught.value) == "step 'a': asked to fail\nnot run because of it: b, c"
    assert signed(room, "e")
    assert not signed(room, "b")


def test_several_failures_are_all_told(here, room) -> None:
    recipe = write("fails", step("a", how="fail"), step("b", how="fail"), step("c", "b"))
    with pytest.raises(StageError) as caught:
        go(recipe)
    lines = str(caught.value).splitlines()
    assert sorted(lines[:2]) == ["step 'a': asked to fail", "step 'b': asked to fail"]
    assert lines[2:] == ["not run because of them: c"]


def test_a_child_that_is_killed_is_told_and_the_other_finishes(here, room) -> None:
    recipe = write("killed", step("a", how="kill", guests=["b"]), step("b", guests=["a"]))
    with pytest.raises(StageError, match=r"step 'a': its process was killed by signal 9; perhaps .* memory"):
        go(recipe)
    assert (here / "outputs/killed/b").is_symlink()


def test_what_a_child_prints_is_a_line_of_its_step(here, room) -> None:
    recorder = go(write("loud", step("a", how="print"), step("b")))
    assert any(line.split() == ["a", "printed", "by", "a", "library"] for line in recorder.lines)


def test_a_step_that_stops_stops_the_run(here, room) -> None:
    """SIGTERM to the parent reaches the children; one is safe and stops, the other was done anyway."""
    recipe = write("stops", step("a", how="stop"), step("b", guests=["a"]), step("c", "b"))
    process = pipe_process("run", str(recipe), "-j", "2", "--device", "cpu")
    until(lambda: signed(room, "a") and signed(room, "b"), "both steps")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 75
    assert (room / "a.safe").exists()
    assert "step 'a': stopped when safe" in Path("out.txt").read_text()


def test_the_last_step_fails_while_it_is_asked_to_stop(here, room) -> None:
    process = pipe_process("run", str(write("late", step("a", how="late"))), "--device", "cpu")
    until(lambda: signed(room, "a"), "the step")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 1
    assert Path("out.txt").read_text().splitlines()[-1] == "error: step 'a': asked to fail"


def test_a_second_wish_stops_at_once(here, room) -> None:
    recipe = write("hangs", step("a", guests=["nobody"]), step("b", guests=["nobody"]))
    process = pipe_process("run", str(recipe), "-j", "2", "--device", "cpu")
    until(lambda: signed(room, "a") and signed(room, "b"), "both steps")
    process.send_signal(signal.SIGINT)
    until(lambda: "Ctrl-C again" in (here / "out.txt").read_text(), "the message")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 75
    assert "at once" in Path("out.txt").read_text()
    assert not any(alive(path) for path in room.iterdir())


def test_children_stop_when_their_parent_is_gone(here, room) -> None:
    recipe = write("orphans", step("a", how="stop"), step("b", how="stop"))
    process = pipe_process("run", str(recipe), "-j", "2", "--device", "cpu")
    until(lambda: signed(room, "a") and signed(room, "b"), "both steps")
    process.kill()
    process.wait()
    until(lambda: (room / "a.safe").exists() and (room / "b.safe").exists(), "both to be safe")
    until(lambda: not any(alive(path) for path in room.iterdir()), "the end of both")


def alive(signature: Path) -> bool:
    if not signature.suffix[1:].isdigit():
        return False
    try:
        state = Path(f"/proc/{signature.suffix[1:]}/stat").read_text()
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


def pipe_process(*words: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with open("out.txt", "w") as out:
        return subprocess.Popen([sys.executable, "-m", "pipeline", *words], env=environment, stdout=out, stderr=out)


def test_an_interruption_names_what_it_stopped(here, room) -> None:
    with pytest.raises(Interrupted, match="step 'double': asked to stop"):
        run_all(
            [load(Path("toy.toml"), ["step.double.stop_at=n1"])],
            Workspace.find(),
            Recorder(),
            Choice(),
            Means("cpu", 2),
        )


def test_one_recipe_given_twice(here, room) -> None:
    recipe = write("two", step("a"), step("b"))
    go(recipe, recipe)
    assert len(signed(room, "a")) == len(signed(room, "b")) == 1


def test_a_stage_that_cannot_be_sent_says_how_it_can_run(here, room, monkeypatch) -> None:
    recipe = load(write("local", step("a"), step("b")))
    recipe.steps["a"].stage.settings["hook"] = lambda: None
    with pytest.raises(StageError, match=r"step 'a': cannot be handed to a process of its own .* --jobs 1"):
        run_all([recipe], Workspace.find(), Recorder(), Choice(), Means("cpu", 2))
    run_all([recipe], Workspace.find(), Recorder(), Choice(), Means("cpu", 1))


def test_a_warning_for_memory_that_is_not_there(here, room) -> None:
    recorder = go(write("large", step("a") + 'needs = { memory = "900TB" }\n', step("b")))
    (warning,) = [line for line in recorder.lines if line.startswith("warning")]
    assert "step 'a' needs 900000.0 GB of memory, and this machine has" in warning
    assert {path.suffix for path in room.iterdir()} == {f".{os.getpid()}"}  # one after the other


def test_a_shared_step_that_fails_is_not_tried_twice(here, room) -> None:
    common = step("a", how="fail")
    with pytest.raises(StageError) as caught:
        go(write("first", common, step("b", "a")), write("second", common, step("c")))
    assert str(caught.value) == "step 'first/a': asked to fail\nnot run because of it: first/b, second/a"
    assert len(signed(room, "a")) == len(signed(room, "c")) == 1


def test_a_shared_step_that_is_forced_is_made_once(here, room) -> None:
    first, second = write("first", step("a", guests=[])), write("second", step("a"), step("b", "a"))
    go(first, second)
    recorder = go(first, second, choice=Choice(force=frozenset({"a"})))
    assert recorder.ran == ["first/a"]
