"""Work is kept by the item: what an earlier artifact holds is taken over, and only the rest is made."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pipeline import items, journal
from pipeline.errors import Interrupted, StageError
from pipeline.execute import Choice
from pipeline.items import Donor
from pipeline.journal import Journal
from pipeline.plan import plan
from pipeline.recipe import load
from tests.pipeline.conftest import Recorder
from tests.pipeline.test_execute import go, total
from tests.pipeline.toy import Double


def standing(workspace, *settings: str) -> str:
    return plan(load(Path("toy.toml"), settings), workspace)["double"].standing


def made_by(workspace, *settings: str, choice: Choice | None = None) -> list[str]:
    Double.made.clear()
    go(workspace, *settings, choice=choice)
    return list(Double.made)


def write(here: Path, text: str, workspace) -> None:
    (here / "numbers.txt").write_text(text)
    go(workspace, choice=Choice(only="read"))


def test_one_changed_item_is_made_and_the_others_are_taken_over(here, workspace) -> None:
    go(workspace)
    first = (here / "outputs/toy/double").resolve()
    write(here, "1\n5\n3\n", workspace)
    assert standing(workspace) == "partly cached (2 of 3)"
    assert made_by(workspace) == ["n1"]
    second = (here / "outputs/toy/double").resolve()
    assert first != second
    assert os.stat(first / "n0.txt").st_ino == os.stat(second / "n0.txt").st_ino
    assert [(second / f"n{i}.txt").read_text() for i in range(3)] == ["2.0", "10.0", "6.0"]
    assert (first / "n1.txt").read_text() == "4.0"
    assert total(here)["total"] == 18
    assert standing(workspace) == "cached"


def test_added_and_removed_items(here, workspace) -> None:
    go(workspace)
    write(here, "1\n2\n3\n4\n", workspace)
    assert standing(workspace) == "partly cached (3 of 4)"
    assert made_by(workspace) == ["n3"]
    write(here, "1\n2\n", workspace)
    assert standing(workspace) == "partly cached (2 of 2)"
    assert made_by(workspace) == []
    assert sorted(path.name for path in (here / "outputs/toy/double/").glob("n*")) == ["n0.txt", "n1.txt"]


def test_what_changes_every_item_leaves_nothing_to_take_over(here, workspace) -> None:
    go(workspace)
    assert standing(workspace, "step.double.factor=3") == "to run"
    assert made_by(workspace, "step.double.factor=3") == ["n0", "n1", "n2"]
    assert made_by(workspace, choice=Choice(force=frozenset({"double"}))) == ["n0", "n1", "n2"]


def test_a_parameter_that_only_selects(here, workspace) -> None:
    assert made_by(workspace, "step.double.only=n1") == ["n1"]
    assert standing(workspace) == "partly cached (1 of 3)"
    assert made_by(workspace) == ["n0", "n2"]
    assert made_by(workspace, "step.double.only=n2,n0") == []


def test_of_a_damaged_artifact_the_whole_items_are_kept(here, workspace) -> None:
    go(workspace)
    broken = here / "outputs/toy/double/n1.txt"
    broken.chmod(0o644)
    broken.write_text("")
    assert standing(workspace) == "partly cached (2 of 3)"
    assert made_by(workspace) == ["n1"]
    assert (here / "outputs/toy/double/n1.txt").read_text() == "4.0"


def test_a_killed_run_keeps_its_items_even_when_others_change_meanwhile(here, workspace) -> None:
    with pytest.raises(Interrupted):
        go(workspace, "step.double.stop_at=n2")
    assert Double.made == ["n0", "n1"]
    write(here, "1\n2\n7\n", workspace)
    assert standing(workspace) == "partly cached (2 of 3)"
    assert made_by(workspace) == ["n2"]
    assert total(here)["total"] == 20


def test_a_fact_that_no_plan_knows_must_be_the_same(here, workspace) -> None:
    go(workspace, "step.double.late=1")
    write(here, "1\n2\n7\n", workspace)
    assert made_by(workspace, "step.double.late=2") == ["n0", "n1", "n2"]
    write(here, "1\n2\n8\n", workspace)
    assert made_by(workspace, "step.double.late=2") == ["n2"]


def test_an_item_made_anew_never_writes_into_an_artifact(here, workspace) -> None:
    """The finished items of a stopped run are links to an artifact's files; then a late fact changes."""
    go(workspace)
    first = (here / "outputs/toy/double").resolve()
    write(here, "1\n2\n7\n", workspace)
    with pytest.raises(StageError):
        go(workspace, "step.double.stop_at=n2", "step.double.how=value")
    go(workspace, "step.double.late=3")
    assert Double.made[-3:] == ["n0", "n1", "n2"]
    assert os.stat(first / "n0.txt").st_ino != os.stat(here / "outputs/toy/double/n0.txt").st_ino


def test_an_older_artifact_serves_where_the_newest_knew_another_fact(here, workspace) -> None:
    go(workspace, "step.double.late=1")
    write(here, "1\n2\n7\n", workspace)
    go(workspace, "step.double.late=2")
    write(here, "1\n2\n8\n", workspace)
    assert made_by(workspace, "step.double.late=1") == ["n2"]


def test_every_variant_of_a_wide_sweep_takes_over_its_own_items(here, workspace) -> None:
    factors = ", ".join(str(float(number)) for number in range(1, items.MOST_ARTIFACTS + 3))
    plain = (here / "toy.toml").read_text().partition("[tiny]")[0].replace("factor = 2.0\n", "")
    (here / "toy.toml").write_text(f"{plain}[matrix]\nstep.double.factor = [{factors}]\n")
    go(workspace)
    write(here, "1\n2\n3\n4\n", workspace)
    assert set(made_by(workspace)) == {"n3"}


def test_a_forced_step_gives_its_items_keys(here, workspace) -> None:
    go(workspace, choice=Choice(force=frozenset({"double"})))
    write(here, "1\n2\n7\n", workspace)
    assert standing(workspace) == "partly cached (2 of 3)"


def test_the_record_tells_what_was_taken_over(here, workspace) -> None:
    go(workspace)
    first = (here / "outputs/toy/double").resolve().name
    write(here, "1\n2\n7\n", workspace)
    go(workspace)
    record = json.loads((here / "outputs/toy/double/record.json").read_text())
    assert record["provenance"]["taken_over"] == {first: 2}


def test_items_of_one_name_in_two_units_are_refused(here, workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(self: Double, job) -> None:
        for unit in ("numbers", "others"):
            job.each(["x"], lambda name, unit=unit: [write_text(job.out / f"{name}.{unit}")], unit=unit)

    monkeypatch.setattr(Double, "run", twice)
    with pytest.raises(StageError, match="others/x and numbers/x are items of one name"):
        go(workspace)


def write_text(path: Path) -> Path:
    path.write_text("x")
    return path


def test_what_is_taken_over_is_said(here, workspace) -> None:
    go(workspace)
    write(here, "1\n2\n7\n", workspace)
    assert any("2 of 3 numbers are as they were and are taken over" in line for line in go(workspace).lines)


def lines_of(folder: Path) -> list[list[object]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


@pytest.fixture
def work(workspace):
    work = workspace.store.work("toy", {"k": 1})
    workspace.store.begin(work)
    return work


def note(work, *names: str) -> None:
    book = Journal(work)
    for name in names:
        (work.out / name).write_text(name)
        book.done(f"things/{name}", [work.out / name])


def test_the_journal_counts_what_is_there(work) -> None:
    note(work, "a", "b")
    note(work, "c")
    with work.journal.open("a") as stream:
        stream.write('["item", "things/d", {"out')
    (work.out / "b").write_text("longer")
    assert sorted(Journal(work).finished) == ["things/a", "things/c"]


@pytest.mark.parametrize(
    "line", ['["item"]', '["boot"]', "7", '["item", 1, {}, "", "", {}]', "\xff", '["item", "t/a", []]']
)
def test_what_no_journal_says_is_passed_over(work, line: str) -> None:
    note(work, "a")
    with work.journal.open("ab") as stream:
        stream.write(line.encode("latin-1"))
    assert list(Journal(work).finished) == ["things/a"]
    note(work, "b")
    assert sorted(Journal(work).finished) == ["things/a", "things/b"]


def test_after_a_power_cut_only_what_was_brought_to_the_disk_counts(work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SYNC_INTERVAL_S", 0)
    note(work, "a", "b")
    monkeypatch.setattr(journal, "SYNC_INTERVAL_S", 1000)
    note(work, "c")
    assert [line[0] for line in lines_of(work.path)] == ["boot", "item", "synced", "item", "synced", "boot", "item"]
    assert sorted(Journal(work).finished) == ["things/a", "things/b", "things/c"]
    monkeypatch.setattr(journal, "_boot", lambda: "another boot")
    assert sorted(Journal(work).finished) == ["things/a", "things/b"]
    note(work, "d")
    assert sorted(Journal(work).finished) == ["things/a", "things/b", "things/d"]


def test_recorder_is_quiet_about_nothing(here, workspace) -> None:
    recorder: Recorder = go(workspace)
    assert not any("taken over" in line for line in recorder.lines)


def test_a_donor_that_goes_meanwhile_leaves_nothing_to_write_into(tmp_path: Path) -> None:
    (tmp_path / "there" / "a").mkdir(parents=True)
    (tmp_path / "there" / "a" / "1.txt").write_text("1")
    donor = Donor(tmp_path / "there", {"a/1.txt": 1, "a/2.txt": 1}, "")
    assert not donor.is_whole()
    assert donor.link(tmp_path / "work") is None
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and "work" in path.parts]
    (tmp_path / "there" / "a" / "2.txt").write_text("2")
    assert donor.link(tmp_path / "work") == {"out/a/1.txt": 1, "out/a/2.txt": 1}
