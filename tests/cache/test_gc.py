"""What may go goes, in the right order; what anybody needs stays; a killed collector leaves a sound store."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from cache import lastuse, marks, trash
from cache import lease as lease_module
from cache.errors import CacheError
from cache.gc import LEASE, OWN_LEASE, Plan, Wishes, plan
from cache.lease import lease
from cache.store import Artifact, Store
from cache.trash import collect, dangling
from cache.verify import folders, verify
from tests.cache.conftest import publish
from tests.cache.killed import survives

DAY = 86400
ALL = Wishes(max_size=0)


def aged(artifact: Artifact, days: float) -> Artifact:
    then = time.time() - days * DAY
    os.utime(artifact.path / "record.json", (then, then))
    return artifact


def old(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    for inner in [*path.rglob("*"), path]:
        os.utime(inner, (then, then), follow_symlinks=False)


def names(planned: Plan) -> list[str]:
    return [candidate.name for candidate in planned.goes]


@pytest.fixture
def dead() -> int:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child


def test_without_a_limit_no_artifact_goes(store) -> None:
    aged(publish(store, "read"), 900)
    assert plan(store, Wishes()).goes == []


def test_least_recently_used_goes_first_and_cheap_ones_before_dear_ones(store) -> None:
    new = aged(publish(store, "a", 1), 1)
    oldest = aged(publish(store, "b", 2), 9)
    dear = aged(publish(store, "c", 3, seconds=500.0), 5)
    cheap = aged(publish(store, "d", 4, seconds=1.0), 5)
    assert names(plan(store, ALL)) == [oldest.name, cheap.name, dear.name, new.name]
    planned = plan(store, ALL)
    assert (planned.before > 0, planned.after) == (True, 0)
    some = plan(store, Wishes(max_size=planned.before - 1))
    assert names(some) == [oldest.name]
    assert some.after == planned.before - some.goes[0].size
    assert names(plan(store, Wishes(older_than=4 * DAY))) == [oldest.name, cheap.name, dear.name]
    assert names(plan(store, Wishes(max_size=planned.before))) == []


def test_the_size_of_the_plan_is_the_size_on_the_disk(store) -> None:
    first, second = aged(publish(store, "a"), 3), aged(publish(store, "b"), 2)
    shared = second.path / "wav" / "a.wav"
    shared.unlink()
    os.link(first.path / "wav" / "a.wav", shared)
    size = os.path.getsize(shared)
    planned = plan(store, Wishes(older_than=2.5 * DAY))
    assert names(planned) == [first.name]
    on_disk = sum(p.stat().st_size for p in first.path.rglob("*") if p.is_file())
    assert planned.goes[0].size == on_disk - size  # the other artifact still holds the shared file
    both = plan(store, ALL)
    inodes = {p.stat().st_ino: p.stat().st_size for p in store.root.rglob("*") if p.is_file()}
    assert both.before == sum(inodes.values()) == sum(candidate.size for candidate in both.goes)


def test_what_stays_and_why(store) -> None:
    pinned, read, kept, fresh, made, goes = (aged(publish(store, s), 3) for s in ("a", "b", "c", "d", "e", "f"))
    marks.pin(store.root, pinned.name)
    aged(fresh, 0.01)
    work = store.work("e", made.key)
    with marks.Reading(store.root) as reading, lease(work.lease):
        reading.add([read.name])
        planned = plan(store, Wishes(max_size=0, keep={kept.name: "toy/c"}))
    assert names(planned) == [goes.name]
    assert planned.kept == {
        pinned.name: "pinned",
        read.name: f"read by process {os.getpid()} on {os.uname().nodename}",
        kept.name: "needed by toy/c",
        fresh.name: "used within the last hour",
        made.name: "being made again",
    }
    assert marks.unpin(store.root, pinned.name)
    assert not marks.unpin(store.root, pinned.name)
    assert set(names(plan(store, ALL))) == {pinned.name, read.name, kept.name, made.name, goes.name}


def test_a_clock_that_jumped_back_takes_nothing_away(store) -> None:
    aged(publish(store, "a"), -400)
    assert plan(store, ALL).goes == []


def test_a_dead_reader_keeps_nothing_and_its_mark_goes(store, dead) -> None:
    made = aged(publish(store, "a"), 3)
    mark = store.root / "inuse" / "x.json"
    mark.parent.mkdir()
    host = os.uname().nodename
    mark.write_text(json.dumps({"owner": {"host": host, "pid": dead, "started": "1"}, "artifacts": [made.name]}))
    planned = plan(store, ALL)
    assert [candidate.what for candidate in planned.goes] == ["mark", "artifact"]
    assert collect(store, planned) == []
    assert not mark.exists()
    mark.write_text(json.dumps({"owner": {"host": "elsewhere", "pid": dead, "started": "1"}, "artifacts": ["a/b--1"]}))
    assert list(marks.in_use(store.root)) == ["a/b--1"]
    old(mark, 20)
    assert marks.in_use(store.root) == {}


def test_a_use_moves_the_mark_and_costs_the_manifest_nothing(store) -> None:
    made = aged(publish(store, "a"), 3)
    assert store.find("a", made.key) is not None
    assert time.time() - lastuse.of(made.path / "record.json") < 60
    aged(made, 0.01)
    before = lastuse.of(made.path / "record.json")
    store.find("a", made.key)
    assert lastuse.of(made.path / "record.json") == before  # at most every half hour
    assert verify(made.path).findings == []


def test_an_artifact_removed_while_it_is_found_is_not_found(store, monkeypatch) -> None:
    made = aged(publish(store, "a"), 3)
    monkeypatch.setattr(store, "damage", lambda artifact: (artifact.path / "record.json").unlink())
    assert store.find("a", made.key) is None


def test_a_store_that_cannot_be_written_to_is_still_read(store, monkeypatch) -> None:
    made = aged(publish(store, "a"), 3)

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "utime", refuse)
    monkeypatch.setattr(os, "replace", refuse)
    assert store.find("a", made.key) is not None
    with marks.Reading(store.root) as reading:
        reading.add([made.name])
    with pytest.raises(CacheError, match="cannot be written to"):
        marks.pin(store.root, made.name)


def test_what_must_be_made_again_first(store) -> None:
    source = aged(publish(store, "a"), 5)
    result = aged(publish(store, "b", inputs=source), 4)
    last = aged(publish(store, "c", inputs=result), 3)
    planned = plan(store, Wishes(older_than=3.5 * DAY))
    assert [(c.name, c.first) for c in planned.goes] == [(source.name, ()), (result.name, (source.name,))]
    collect(store, planned)
    (left,) = plan(store, ALL).goes
    assert (left.name, left.first, left.gone) == (last.name, (), ("data",))
    assert left.seconds == 2.0


def leftovers(store: Store, dead: int) -> dict[str, Path]:
    """One of each thing that an accident leaves behind, all forty days old, and a living process's work."""
    store.set_aside(publish(store, "q"))
    for name in ("w", "alive"):
        work = store.work(name, {})
        store.begin(work)
        (work.out / "half").write_text("x")
    owner = {"host": os.uname().nodename, "pid": dead, "started": "1"}
    root = store.root
    (root / "work" / f"gone-1{LEASE}").write_text(json.dumps(owner))
    (root / "work" / ".x.1.tmp").write_text("x")
    (root / "trash" / "a-b.1" / "deep").mkdir(parents=True)
    (root / "trash" / "a-b.1" / "deep" / "file").write_text("x")
    old(root, 40)
    alive = store.work("alive", {})
    alive.lease.write_text(json.dumps(lease_module_me()))
    return {"q": root / "quarantine", "w": store.work("w", {}).path, "alive": alive.path}


def lease_module_me() -> dict[str, object]:
    return {"host": os.uname().nodename, "pid": os.getpid(), "started": lease_module._started(os.getpid())}


def test_leftovers_go_and_living_work_stays(store, dead) -> None:
    paths = leftovers(store, dead)
    planned = plan(store, Wishes(), now=time.time() + 31 * DAY)  # the quarantine is told by a time nobody can set
    assert sorted(candidate.what for candidate in planned.goes) == ["lease", "quarantine", "scrap", "trash", "work"]
    assert collect(store, planned) == []
    assert sorted(path.name for path in store.root.rglob("*") if path.is_file()) == [
        paths["alive"].name + LEASE,
        "half",
    ]
    assert plan(store, Wishes()).goes == []


def test_young_leftovers_stay(store, dead) -> None:
    leftovers(store, dead)
    planned = plan(store, Wishes(leftovers=50 * DAY))
    assert sorted(candidate.what for candidate in planned.goes) == ["lease", "scrap", "trash"]


def test_an_artifact_used_after_the_plan_was_made_stays(store) -> None:
    made = aged(publish(store, "a"), 3)
    planned = plan(store, ALL)
    store.find("a", made.key)
    ((candidate, why),) = collect(store, planned)
    assert (candidate.name, why) == (made.name, "it was used just now")
    assert store.find("a", made.key) is not None


def test_an_artifact_used_in_the_moment_of_its_removal_is_put_back(store, monkeypatch) -> None:
    made = aged(publish(store, "a"), 3)
    planned = plan(store, ALL)
    real = trash._move

    def used_first(path: Path, folder: Path) -> Path:
        store.find("a", made.key)
        return real(path, folder)

    monkeypatch.setattr(trash, "_move", used_first)
    assert [why for _, why in collect(store, planned)] == ["it was used just now"]
    assert store.find("a", made.key) is not None


def test_what_cannot_be_removed_is_told_and_the_rest_goes(store, monkeypatch) -> None:
    first, second = aged(publish(store, "a"), 3), aged(publish(store, "b"), 2)
    real = os.rename

    def rename(source, target) -> None:
        if first.path == source:
            raise PermissionError(13, "Permission denied")
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    ((candidate, why),) = collect(store, plan(store, ALL))
    assert (candidate.name, why) == (first.name, "cannot be removed (Permission denied)")
    assert not second.path.exists()


def test_one_collection_at_a_time(store) -> None:
    aged(publish(store, "a"), 3)
    with lease(store.root / "work" / OWN_LEASE), pytest.raises(CacheError, match="another collection is at work"):
        collect(store, plan(store, ALL))


def test_links_that_dangle_into_this_store(store, tmp_path) -> None:
    made = publish(store, "a")
    folder = tmp_path / "outputs" / "toy"
    folder.mkdir(parents=True)
    targets = {"sound": made.path, "gone": store.root / "a" / "label--1", "elsewhere": tmp_path / "no"}
    for name, target in targets.items():
        (folder / name).symlink_to(os.path.relpath(target, folder))
    (folder / "own").write_text("a file")
    assert [link.name for link in dangling(tmp_path / "outputs", store.root)] == ["gone"]


def test_a_collector_killed_at_any_change_leaves_a_sound_store(tmp_path, dead) -> None:
    finished, changes = False, 0
    while not finished:
        store = Store(tmp_path / str(changes))
        kept = publish(store, "kept")
        for number in range(2):
            aged(publish(store, "a", number), 3)
        leftovers(store, dead)
        aged(kept, 0)
        planned = plan(store, ALL, now=time.time() + 1)
        finished = survives(lambda store=store, planned=planned: collect(store, planned), changes)
        assert all(verify(folder).findings == [] for folder in folders(store))
        collect(store, plan(store, Wishes(max_size=0, leftovers=0)))
        assert [artifact.name for artifact in store.artifacts()] == [kept.name]
        assert not list((store.root / "trash").iterdir())
        collect(store, plan(store, Wishes(keep={kept.name: ""}), now=time.time() + 2 * DAY))
        left = {path.name for path in (store.root / "work").iterdir() if not path.name.startswith("alive")}
        assert left <= {OWN_LEASE}  # the next one takes it over
        changes += 1
    assert changes > 20
