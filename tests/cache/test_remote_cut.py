"""Transfers that are killed, cut off, stalled or doubled: what is half there is invisible, the next try ends it."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cache import transfer
from cache.errors import CacheError, RemoteDown
from cache.remote import Moved, Remote
from cache.store import Store
from cache.transport import Folder
from tests.cache.remotes import FILES, here, objects, publish, pull, push, texts, there, url
from tests.cache.test_store import KEY
from tests.s3 import s3, s3_server
from tests.sftp import sftp

__all__ = ["here", "s3", "s3_server", "sftp", "there", "url"]


def dies(action: Callable[[], object], watched: Path, point: int) -> bool:
    """Whether a child process that does this died at its `point`-th system call upon the watched folder."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
    calls = 0

    def die(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal calls
        if event in CHANGES and os.fspath(watched) in str(arguments[:2]):
            calls += 1
            if calls == point:
                os._exit(9)

    sys.addaudithook(die)
    action()
    os._exit(0)


CHANGES = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod")
FORKS = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


@FORKS
def test_a_push_killed_at_any_point_is_invisible_and_the_next_one_ends_it(tmp_path, here) -> None:
    artifact, folder, point = publish(here), tmp_path / "remote", 1
    while dies(lambda: push(Remote(str(folder)), artifact), folder, point):
        found = Remote(str(folder)).find("toy", KEY)
        assert found is None or Remote(str(folder)).missing(found) == []
        whole = [path.read_text() for path in objects(folder) if not path.name.endswith(".tmp")]
        assert set(whole) <= set(FILES.values())
        push(Remote(str(folder)), artifact)
        assert texts(pull(Remote(str(folder)), Store(tmp_path / f"store{point}"))) == FILES
        shutil.rmtree(folder)
        point += 1
    assert point > 20


@FORKS
def test_a_pull_killed_at_any_point_is_invisible_and_the_next_one_ends_it(tmp_path, here) -> None:
    remote, point = Remote(str(tmp_path / "remote")), 1
    push(remote, publish(here))
    there = Store(tmp_path / "store0")
    while dies(lambda: pull(remote, there), there.root, point):  # noqa: B023
        found = there.find("toy", KEY)
        assert found is None or texts(found) == FILES
        assert texts(found or pull(remote, there)) == FILES
        there = Store(tmp_path / f"store{point}")
        point += 1
    assert point > 40


def test_a_push_goes_on_where_it_was_cut_off(tmp_path, here, monkeypatch) -> None:
    remote, artifact = Remote(str(tmp_path / "remote")), publish(here)
    monkeypatch.setattr(Folder, "threads", 1)
    pushing = remote.push(artifact, Moved())
    assert next(pushing) == 0  # nothing is there already
    next(pushing)
    pushing.close()  # Ctrl-C
    assert remote.find("toy", KEY) is None
    moved = push(remote, artifact)
    assert moved.there >= 1
    assert moved.there + moved.files == 3


@pytest.mark.parametrize("failing", [1, 2, 3, "record"])
def test_a_push_that_fails_at_any_upload_is_invisible_everywhere(url, here, there, failing, monkeypatch) -> None:
    remote, artifact = Remote(url), publish(here)
    put, uploads = remote._at.put, 0

    def fail(*arguments: object) -> None:
        nonlocal uploads
        uploads += 1
        if failing in (uploads, "record"):
            raise RemoteDown("the cable was pulled")
        put(*arguments)

    remote._at.threads = 1
    with monkeypatch.context() as patched, pytest.raises(RemoteDown, match="cable"):
        patched.setattr(remote._at, "write" if failing == "record" else "put", fail)
        push(remote, artifact)
    assert remote.find("toy", KEY) is None
    assert push(Remote(url), artifact).there == (3 if failing == "record" else failing - 1)
    assert texts(pull(Remote(url), there)) == FILES


def test_a_pull_goes_on_where_it_was_cut_off(tmp_path, here, there, monkeypatch) -> None:
    remote = Remote(str(tmp_path / "remote"))
    push(remote, publish(here))
    monkeypatch.setattr(Folder, "threads", 1)
    parcel, work = remote.find("toy", KEY), there.work("toy", KEY)
    there.begin(work)
    pulling = remote.pull(parcel, there, work, Moved(), [])
    next(pulling)
    next(pulling)
    pulling.close()
    assert there.find("toy", KEY) is None
    moved = Moved()
    for _ in remote.pull(parcel, there, work, moved, []):
        pass
    assert moved.there >= 1
    assert there.find("toy", KEY) is not None


def test_many_push_the_same_at_once(url, here, there) -> None:
    artifact, errors = publish(here, {f"{n}.txt": str(n) for n in range(30)}), []

    def one() -> None:
        try:
            push(Remote(url), artifact)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(texts(pull(Remote(url), there))) == 30


def test_a_transfer_that_stands_still(monkeypatch) -> None:
    monkeypatch.setattr(transfer, "STALL_S", 0.2)
    monkeypatch.setattr(transfer, "_TICK_S", 0.05)
    monkeypatch.setattr(transfer, "_FAREWELL_S", 0.0)
    with pytest.raises(RemoteDown, match="remote x stopped answering"):
        list(transfer.side_by_side([lambda _: threading.Event().wait(2)], 1, "x"))


def test_a_full_disk_while_it_arrives(tmp_path, here, there, monkeypatch) -> None:
    remote = Remote(str(tmp_path / "remote"))
    push(remote, publish(here))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cache.transport._copy", full)
    with pytest.raises(CacheError, match="the disk is full while talking to"):
        pull(remote, there)
    assert there.find("toy", KEY) is None
