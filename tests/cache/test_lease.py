"""One living holder at a time, whoever dies, sleeps, waits or has a wrong clock."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from cache import lease as lease_module
from cache import owner as owner_module
from cache.errors import CacheError, LeaseTaken
from cache.lease import described, holder, lease, sweep_leases
from cache.owner import Owner, this_process

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "work" / "train-0123.lease"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(lease_module, "SILENCE_S", 0.4)
    monkeypatch.setattr(lease_module, "LONGEST_LOOK_S", 0.1)


def hold(path: Path, owner: Owner, touched: float | None = None) -> Owner:
    """A lease as another process would have taken it."""
    path.mkdir(parents=True)
    (path / owner.name).write_text(json.dumps({"makes": "train", "since": "2026-05-04 08:01 UTC", "job": "77"}))
    if touched is not None:
        os.utime(path / owner.name, (touched, touched))
    return owner


def elsewhere() -> Owner:
    return replace(this_process(), host="node03", pid="4711", machine="other")


def patient(text: str) -> None:
    """Waits for as long as it takes."""


def after(seconds: float, call: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, call)
    timer.start()
    return timer


def test_a_second_one_is_refused_and_nothing_is_left(path) -> None:
    with lease(path, "train") as held:
        assert holder(path) == held.owner
        assert not held.lost()
        with (
            pytest.raises(LeaseTaken, match=rf"^process {os.getpid()} on \S+ is already making this; wait"),
            lease(path),
        ):
            pass
        assert os.listdir(path) == [held.owner.name]
    assert holder(path) is None
    assert list(path.parent.iterdir()) == []


def test_who_holds_it_can_be_read(path) -> None:
    assert (
        described(path, hold(path, elsewhere())) == "4711 on node03 (train, Slurm job 77, since 2026-05-04 08:01 UTC)"
    )
    (path / holder(path).name).write_text("torn")
    assert described(path, holder(path)) == "4711 on node03"


def test_waiting_ends_when_the_lease_is_given_back(path) -> None:
    taken, done, told = threading.Event(), threading.Event(), []

    def first() -> None:
        with lease(path, "train"):
            taken.set()
            done.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    taken.wait(10)

    def wait(text: str) -> None:
        told.append(text)
        done.set()

    with lease(path, "train", wait):
        assert holder(path).pid == str(os.getpid())
    thread.join()
    assert told[0].startswith(f"{os.getpid()} on ")
    assert "(train, " in told[0]


def test_waiting_ends_when_the_waiter_says_so(path) -> None:
    owner = hold(path, elsewhere())

    def wait(text: str) -> None:
        raise InterruptedError(text)

    with pytest.raises(InterruptedError, match="4711 on node03"), lease(path, wait=wait):
        pass
    assert os.listdir(path) == [owner.name]
    assert list(path.parent.iterdir()) == [path]


def test_a_lease_of_a_killed_process_is_taken_over_at_once(path) -> None:
    code = "import os, sys, pathlib, cache.lease as c\nwith c.lease(pathlib.Path(sys.argv[1])): os._exit(0)"
    child = subprocess.Popen([sys.executable, "-c", code, path], cwd=ROOT)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie: dead, though its number is still there
    assert holder(path).pid == str(child.pid)
    with lease(path) as held:
        assert held.after == f"{child.pid} on {held.owner.host}: that process is gone"
    child.wait()
    hold(path, replace(this_process(), pid=str(child.pid)))
    with lease(path):
        pass


def test_a_number_that_was_given_to_another_process(path) -> None:
    hold(path, replace(this_process(), started="1"))
    with lease(path) as held:
        assert "is gone" in held.after


def test_a_restarted_machine(path, monkeypatch) -> None:
    monkeypatch.setattr(owner_module, "_machine", lambda: ("node03", "m1", "boot2"))
    hold(path, replace(this_process(), boot="boot1"))
    with lease(path) as held:
        assert held.after.endswith("its machine has restarted")


@pytest.mark.parametrize(
    "other",
    [{"machine": "", "boot": "boot1"}, {"machine": "m2", "boot": "boot1"}, {"space": "1"}, {"host": "node04"}],
    ids=["unknown machine", "other machine of that name", "container", "other host"],
)
def test_what_cannot_be_known_is_taken_for_alive(path, monkeypatch, other) -> None:
    monkeypatch.setattr(owner_module, "_machine", lambda: ("node03", other.get("machine", "m1") and "m1", "boot2"))
    hold(path, replace(this_process(), pid="999999999", **other))
    with pytest.raises(LeaseTaken), lease(path):
        pass


def test_a_silent_owner_elsewhere_is_taken_over(path, quick) -> None:
    hold(path, elsewhere())
    with lease(path, wait=patient) as held:
        assert held.after == "4711 on node03: no sign of life for 0 s"


class Watching:
    """Looks at a lease every three seconds of a clock that the test turns."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.token, self.now, self._watch = path / hold(path, elsewhere()).name, 0, lease_module._Watch()
        monkeypatch.setattr(lease_module, "time", SimpleNamespace(monotonic=lambda: self.now))

    def silent(self) -> bool:
        return bool(self._watch.silence(self.token, this_process()))

    def told_dead_after(self, beat: Callable[[int], None] = lambda now: None) -> int | None:
        """Seconds until the owner counts as dead, None for ten minutes and more."""
        for self.now in range(0, 600, 3):
            beat(self.now)
            if self.silent():
                return self.now
        return None

    def stamp(self, seconds: float) -> None:
        """Set the token's time to so many seconds from now."""
        when = time.time() + seconds
        os.utime(self.token, (when, when))


@pytest.mark.parametrize(
    ("touched", "told"),
    [(-1e6, 30), (0, 180), (1e6, 180)],
    ids=["long ago", "just now", "the server's clock was ahead and jumped back"],
)
def test_clocks_do_not_keep_the_dead(path, monkeypatch, touched, told) -> None:
    watching = Watching(path, monkeypatch)
    watching.stamp(touched)
    assert watching.told_dead_after() == told


@pytest.mark.parametrize("pace", [1, -1], ids=["forwards", "a clock that runs backwards"])
@pytest.mark.parametrize("offset", [-1e6, 1e6], ids=["behind", "ahead"])
def test_clocks_do_not_end_the_living(path, monkeypatch, offset, pace) -> None:
    watching = Watching(path, monkeypatch)
    assert watching.told_dead_after(lambda now: watching.stamp(offset + pace * (now // 15) * 15)) is None


def test_a_pause_of_the_waiter_is_no_silence_of_the_owner(path, monkeypatch) -> None:
    watching = Watching(path, monkeypatch)
    watching.stamp(-1e6)
    assert not watching.silent()
    watching.now += 3600  # both were suspended, and the owner has not had its turn yet
    assert not watching.silent()


def test_the_holder_shows_signs_of_life(path, quick) -> None:
    with lease(path) as held:
        first = held.token.stat().st_mtime_ns
        deadline = time.monotonic() + 10
        while held.token.stat().st_mtime_ns == first:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_late_ender_cannot_hit_the_successor(path) -> None:
    dead = hold(path, replace(this_process(), pid="999999999"))
    with lease(path) as held:
        lease_module._end(path, dead)  # a waiter that judged before us and was suspended until now
        assert holder(path) == held.owner


def test_a_holder_that_was_taken_for_dead_notices(path) -> None:
    with lease(path) as held:
        lease_module._end(path, held.owner)
        other = hold(path, elsewhere())
        assert held.lost()
    assert holder(path) == other


def test_a_forked_child_gives_nothing_back(path, monkeypatch) -> None:
    with lease(path) as held:
        monkeypatch.setattr(os, "getpid", lambda: 1)
    assert holder(path) == held.owner


def test_an_answer_that_a_file_server_loses(path, monkeypatch) -> None:
    real = os.rename

    def rename(source: Path, target: Path) -> None:
        real(source, target)
        raise FileNotFoundError(2, "it asked twice, and the first time had done it")

    monkeypatch.setattr(os, "rename", rename)
    with lease(path) as held:
        assert holder(path) == held.owner


def test_a_file_system_that_renames_onto_no_folder(path, monkeypatch) -> None:
    real = os.rename

    def rename(source: Path, target: Path) -> None:
        if os.path.exists(target):
            raise FileExistsError(17, "File exists")
        real(source, target)

    path.mkdir(parents=True)  # its owner was killed while giving it back
    monkeypatch.setattr(os, "rename", rename)
    with lease(path) as held:
        assert holder(path) == held.owner


def test_what_a_server_leaves_in_a_lease_does_not_block_it(path, quick) -> None:
    path.mkdir(parents=True)
    (path / ".nfs000001").write_text("")
    with lease(path, wait=patient):
        pass


def test_a_lease_of_another_user_that_is_dead(path, monkeypatch) -> None:
    hold(path, replace(this_process(), pid="999999999"))

    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(CacheError, match=r"belongs to another user .* umask 002"), lease(path):
        pass


def test_a_lease_that_cannot_be_read(path, monkeypatch) -> None:
    hold(path, elsewhere())
    real = os.listdir

    def refuse(folder: Path) -> list[str]:
        if folder == path:
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(CacheError, match=r"belongs to another user and cannot be read \(Permission denied\)"):
        lease(path, wait=patient).__enter__()


def test_something_unknown_in_a_lease_is_somebody(path) -> None:
    path.mkdir(parents=True)
    (path / "notes.txt").write_text("mine")
    with pytest.raises(LeaseTaken, match="process unknown is already making this"), lease(path):
        pass


def test_a_token_that_cannot_be_looked_at_is_not_silent(path, monkeypatch) -> None:
    watching = Watching(path, monkeypatch)
    monkeypatch.setattr(lease_module, "_touched", lambda file: 0)
    assert watching.told_dead_after() is None


def test_sweeping_takes_the_dead_and_leaves_the_living(path) -> None:
    folder = path.parent
    dead = replace(this_process(), pid="999999999")
    hold(path, dead)
    hold(folder / f"train-0123.lease.{dead.name}", dead)
    (folder / "empty.lease").mkdir()
    (folder / "foreign.lease").mkdir()
    (folder / "foreign.lease" / "notes.txt").write_text("mine")
    hold(folder / "other.lease", elsewhere())
    sweep_leases(folder)
    assert sorted(os.listdir(folder)) == ["foreign.lease", "other.lease"]


def contend(path: Path, inside: Path, seed: int) -> None:
    """Take the lease again and again; now and then die with it, and be late in ending that of the dead."""
    chance, end = random.Random(seed), lease_module._end

    def end_late(path: Path, owner: Owner) -> None:
        if owner.pid != str(os.getpid()):
            time.sleep(0.02 * chance.random())
        end(path, owner)

    lease_module._end = end_late
    for _ in range(25):
        with lease(path, "race", patient):
            others = [int(name) for name in os.listdir(inside)]
            (inside / str(os.getpid())).touch()
            for pid in others:
                if owner_module._runs(pid, ""):
                    (inside.parent / "broken").write_text(f"{os.getpid()} met {pid}")
                else:
                    (inside / str(pid)).unlink()
            if chance.random() < 0.05:
                (inside.parent / "died").touch()
                os._exit(0)
            time.sleep(chance.random() * 0.002)
            (inside / str(os.getpid())).unlink()


def test_processes_that_die_and_take_over_never_meet(tmp_path) -> None:
    (tmp_path / "inside").mkdir()
    context = multiprocessing.get_context("forkserver")
    arguments = [(tmp_path / "work" / "x.lease", tmp_path / "inside", seed) for seed in range(6)]
    children = [context.Process(target=contend, args=words) for words in arguments]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * 6
    assert not (tmp_path / "broken").exists(), (tmp_path / "broken").read_text()
    assert (tmp_path / "died").exists()
    sweep_leases(tmp_path / "work")
    assert os.listdir(tmp_path / "work") == []
