"""Publishing is all or nothing, damage is never served, work is found again."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from cache import digest
from cache import store as store_module
from cache.errors import CacheError, LeaseTaken
from cache.lease import lease
from cache.manifest import Made
from cache.store import Artifact, Store

KEY = {"stage": "toy", "params": {"n": 1}}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def publish(store: Store, key=KEY, text: str = "hello", label: str = "label") -> Artifact:
    work = store.work("toy", key)
    store.begin(work)
    (work.out / "wav").mkdir(exist_ok=True)
    (work.out / "wav" / "a.wav").write_text(text)
    (work.out / "info.json").write_text("{}")
    return store.publish(work, label, "sequences", {"a": Made("", ["wav/a.wav"])}, {"recipe": "r", "step": "s"})


def test_publish_and_find(store) -> None:
    assert store.find("toy", KEY) is None
    made = publish(store)
    found = store.find("toy", KEY)
    assert found is not None
    assert found.path == made.path
    assert found.name == f"toy/label--{digest.short(digest.of_json(KEY))}"
    assert found.manifest().items["a"].files == ["wav/a.wav"]
    assert list(found.content) == ["info.json", "wav"]
    assert not store.work("toy", KEY).path.exists()


def test_content_digests_are_per_part_and_independent_of_the_key(store) -> None:
    first, second = publish(store), publish(store, {"other": 1})
    assert first.content == second.content
    third = publish(store, {"third": 1}, text="changed")
    assert third.content["wav"] != first.content["wav"]
    assert third.content["info.json"] == first.content["info.json"]


def test_payload_is_read_only(store) -> None:
    assert (publish(store).path / "wav" / "a.wav").stat().st_mode & 0o777 == 0o444


@pytest.mark.parametrize("damage", ["truncate", "remove", "manifest", "record"])
def test_damage_is_not_served_and_is_replaced(store, damage) -> None:
    made = publish(store)
    victim = made.path / {"manifest": "manifest.json", "record": "record.json"}.get(damage, "wav/a.wav")
    victim.chmod(0o644)
    if damage == "truncate":
        victim.write_text("he")
    else:
        victim.unlink()
    assert store.find("toy", KEY) is None
    again = publish(store)
    assert store.find("toy", KEY) is not None
    assert (again.path / "wav" / "a.wav").read_text() == "hello"
    assert len(list((store.root / "quarantine").iterdir())) == 1


def test_damage_is_described(store) -> None:
    made = publish(store)
    (made.path / "wav" / "a.wav").chmod(0o644)
    (made.path / "wav" / "a.wav").write_text("he")
    assert store.damaged("toy", KEY) == "wav/a.wav has 2 bytes instead of 5"


def test_a_short_name_taken_by_another_key_gets_a_longer_one(store, monkeypatch) -> None:
    made = publish(store)
    monkeypatch.setattr(digest, "of_json", lambda value, whole=digest.of_json: _clash(whole(value), made))
    other = publish(store, {"other": 1})
    assert other.path != made.path
    assert store.find("toy", {"other": 1}).path == other.path


def _clash(value: str, made: Artifact) -> str:
    return value[:3] + made.path.name[-8:] + value[11:]


@pytest.mark.parametrize("moment", ["manifest", "record"])
def test_disk_full_publishes_nothing_and_keeps_the_work(store, monkeypatch, moment) -> None:
    real = store_module.write_json

    def full(path: Path, value: object, *, sync: bool = False, compact: bool = False) -> None:
        if moment in path.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, value, sync=sync, compact=compact)

    monkeypatch.setattr(store_module, "write_json", full)
    with pytest.raises(CacheError, match=r"disk .* is full; nothing was published"):
        publish(store)
    assert store.find("toy", KEY) is None
    assert not list(store.artifacts())
    assert (store.work("toy", KEY).out / "wav" / "a.wav").read_text() == "hello"
    monkeypatch.setattr(store_module, "write_json", real)
    publish(store)
    assert store.find("toy", KEY) is not None


def test_a_folder_without_a_record_does_not_exist(store) -> None:
    folder = store.root / "toy" / f"label--{digest.short(digest.of_json(KEY))}"
    folder.mkdir(parents=True)
    assert store.find("toy", KEY) is None
    assert list(store.artifacts()) == []
    assert publish(store).path == folder
    assert len(list((store.root / "quarantine").iterdir())) == 1


def test_an_unwritable_store_is_said_so(tmp_path) -> None:
    (tmp_path / "store").write_text("a file where the folder should be")
    store = Store(tmp_path / "store")
    with pytest.raises(CacheError, match="--store"):
        store.begin(store.work("toy", KEY))


def test_lease_excludes_the_living_and_outlives_the_dead(tmp_path) -> None:
    path = tmp_path / "lease.json"
    with lease(path), pytest.raises(LeaseTaken, match=f"process {os.getpid()} on"), lease(path):
        pass
    assert not path.exists()
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    path.write_text(json.dumps({"host": os.uname().nodename, "pid": child, "started": "1"}))
    with lease(path):
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_a_lease_that_was_taken_over_is_left_alone(tmp_path) -> None:
    path = tmp_path / "lease.json"
    with lease(path):
        path.write_text(json.dumps({"host": "elsewhere", "pid": 1, "started": ""}))
    assert path.exists()
    assert list(tmp_path.iterdir()) == [path]


def test_a_lease_of_another_host_is_respected(tmp_path) -> None:
    path = tmp_path / "lease.json"
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1, "started": ""}))
    with pytest.raises(LeaseTaken, match="elsewhere"), lease(path):
        pass
