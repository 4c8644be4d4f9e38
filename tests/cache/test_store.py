"""Publishing is all or nothing, damage is never served, work is found again."""

from __future__ import annotations

import errno
import json
import os
import signal
from pathlib import Path

import pytest

from cache import digest, files, verify
from cache import publish as publish_module
from cache.errors import CacheError, LeaseLost
from cache.manifest import Made
from cache.store import Artifact, Store
from cache.work import Work
from tests.cache import fault_actions
from tests.cache.faults import run_until

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
    real = publish_module.write_json

    def full(path: Path, value: object, *, sync: bool = False, compact: bool = False) -> None:
        if moment in path.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, value, sync=sync, compact=compact)

    monkeypatch.setattr(publish_module, "write_json", full)
    with pytest.raises(CacheError, match=r"disk .* is full; nothing was published"):
        publish(store)
    assert store.find("toy", KEY) is None
    assert not list(store.artifacts())
    assert (store.work("toy", KEY).out / "wav" / "a.wav").read_text() == "hello"
    monkeypatch.setattr(publish_module, "write_json", real)
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


def mark(folder: Path) -> dict[str, tuple[int, int]]:
    """Every path below a folder, with size and time."""
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*")}


def test_a_store_of_a_newer_format_is_not_touched(store) -> None:
    publish(store)
    (store.root / "store.json").write_text('{"format": 99, "more": []}')
    before = mark(store.root)
    newer = Store(store.root)
    for call in (
        lambda: newer.find("toy", KEY),
        lambda: list(newer.artifacts()),
        lambda: newer.by_name("toy/x--00000000"),
        lambda: list(verify.folders(newer)),
        lambda: newer.begin(newer.work("toy", KEY)),
        lambda: newer.making("toy", KEY).__enter__(),
    ):
        with pytest.raises(CacheError, match=r"made by a newer version of facepipe \(format 99, this one knows \d+\)"):
            call()
    assert mark(store.root) == before


def test_an_artifact_of_a_newer_format_is_not_replaced(store) -> None:
    made = publish(store)
    record = json.loads((made.path / "record.json").read_text())
    (made.path / "record.json").write_text(json.dumps(record | {"format": 99}))
    with pytest.raises(CacheError, match="newer version"):
        store.find("toy", KEY)
    with pytest.raises(CacheError, match="newer version"):
        publish(store)
    assert made.path.exists()
    assert not (store.root / "quarantine").exists()


def test_the_format_is_written_once(store) -> None:
    publish(store)
    first = (store.root / "store.json").stat()
    publish(Store(store.root), {"other": 1})
    assert (store.root / "store.json").stat().st_ino == first.st_ino
    assert json.loads((store.root / "store.json").read_text()) == {"format": 1}


@pytest.mark.parametrize("text", ["torn", "[]", '{"format": "new"}'])
def test_a_strange_store_json_says_nothing(store, text) -> None:
    store.root.mkdir()
    (store.root / "store.json").write_text(text)
    publish(store)
    assert store.find("toy", KEY) is not None


def test_foreign_things_in_the_store_are_left_alone(store) -> None:
    for name in ("notes.txt", "toy/readme", "toy/mine--12345678/a", "work/b/c", "work/x.lease/d", "lost+found/e"):
        (store.root / name).parent.mkdir(parents=True, exist_ok=True)
        (store.root / name).write_text("mine")
    before = mark(store.root)
    with store.making("toy", KEY) as work:
        (work.out / "info.json").write_text("{}")
        made = store.publish(work, "label", "sequences", {}, {})
    assert [artifact.name for artifact in store.artifacts()] == [made.name]
    left = mark(store.root)
    assert {path: left.get(path) for path in before if Path(path).is_file()} == {
        path: entry for path, entry in before.items() if Path(path).is_file()
    }


def test_a_file_under_the_name_of_an_artifact_is_moved_aside(store) -> None:
    place = store.root / "toy" / f"label--{digest.short(digest.of_json(KEY))}"
    place.parent.mkdir(parents=True)
    place.write_text("mine")
    assert publish(store).path == place
    assert next((store.root / "quarantine").iterdir()).read_text() == "mine"


@pytest.mark.parametrize(("umask", "folder", "file"), [(0o002, 0o775, 0o444), (0o027, 0o750, 0o440)])
def test_rights_are_the_users_to_give(store, umask, folder, file) -> None:
    old = os.umask(umask)
    try:
        made = publish(store)
    finally:
        os.umask(old)
    assert made.path.stat().st_mode & 0o777 == folder
    assert (made.path / "wav").stat().st_mode & 0o777 == folder
    assert (made.path / "wav" / "a.wav").stat().st_mode & 0o777 == file
    assert (store.root / "work").stat().st_mode & 0o777 == folder


def test_going_on_with_the_work_of_a_colleague(store, monkeypatch) -> None:
    def refuse(self: Path, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")  # as for files of another owner

    monkeypatch.setattr(Path, "chmod", refuse)
    publish(store)
    assert store.find("toy", KEY) is not None


def test_the_group_of_a_shared_store_is_inherited(store) -> None:
    store.root.mkdir()
    store.root.chmod(0o2775)
    assert publish(store).path.stat().st_mode & 0o2000


def test_what_another_user_may_not_read_is_not_taken_for_absent(store, monkeypatch) -> None:
    made = publish(store)
    real = Path.read_bytes

    def refuse(self: Path) -> bytes:
        if self.name == "record.json":
            raise PermissionError(13, "Permission denied", str(self))
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(CacheError, match=r"record.json cannot be read \(Permission denied\); .* umask 002"):
        store.find("toy", KEY)
    assert list(store.artifacts()) == []
    assert made.path.exists()


def test_an_artifact_that_is_there_already_is_kept(store) -> None:
    first, told = publish(store), []
    work = store.work("toy", KEY)
    for text, warnings in (("hello", 0), ("other", 1)):
        store.begin(work)
        (work.out / "wav").mkdir()
        (work.out / "wav" / "a.wav").write_text(text)
        (work.out / "info.json").write_text("{}")
        again = store.publish(work, "label", "sequences", {}, {}, warn=told.append)
        assert again.record == first.record
        assert len(told) == warnings
        assert not work.path.exists()
    assert told == [f"another process made {first.name} with other contents; that one is kept"]
    assert (first.path / "wav" / "a.wav").read_text() == "hello"


def test_a_forced_result_replaces_the_earlier_one(store) -> None:
    publish(store)
    work = store.work("toy", KEY)
    store.begin(work)
    (work.out / "x").write_text("forced")
    made = store.publish(work, "label", "sequences", {}, {}, replace=True)
    assert (store.find("toy", KEY).path / "x").read_text() == "forced"
    assert made.path.parent == store.root / "toy"
    assert len(list((store.root / "quarantine").iterdir())) == 1


def test_work_is_kept_by_key_and_moved_to_its_holder(store) -> None:
    with pytest.raises(ValueError), store.making("toy", KEY) as work:
        (work.out / "half").write_text("done")
        first = work.path
        raise ValueError
    assert store.work("toy", KEY).path.is_dir()
    with store.making("toy", KEY) as work:
        assert (work.out / "half").read_text() == "done"
        assert work.path != first
        store.publish(work, "label", "sequences", {}, {})
    assert list((store.root / "work").iterdir()) == []


def test_empty_work_is_not_kept(store) -> None:
    with pytest.raises(ValueError), store.making("toy", KEY):
        raise ValueError
    with store.making("toy", KEY):
        publish(store)  # another process, while we waited
    assert list((store.root / "work").iterdir()) == []


def die_at_work(root: str) -> None:
    """Finish half, and be killed."""
    with Store(Path(root)).making("toy", KEY) as work:
        (work.out / "half").write_text("done")
        os.kill(os.getpid(), signal.SIGKILL)


def test_of_several_attempts_the_fullest_is_gone_on_with(store) -> None:
    """A holder that was taken for dead may have made its old folder anew."""
    plain = store.work("toy", KEY).path
    for name, text in ((f"{plain.name}~1", "a"), (f"{plain.name}~2", "aaa"), (f"{plain.name}~3", "aa")):
        (plain.with_name(name) / "out").mkdir(parents=True)
        (plain.with_name(name) / "out" / "half").write_text(text)
    with store.making("toy", KEY) as work:
        assert (work.out / "half").read_text() == "aaa"
        assert [path for path in plain.parent.iterdir() if path.suffix != ".lease"] == [work.path]


def test_work_of_the_dead_is_gone_on_with_and_orphans_write_into_the_void(store) -> None:
    assert run_until(die_at_work, str(store.root)).killed
    (abandoned,) = (store.root / "work").glob("toy-*~*")
    with store.making("toy", KEY) as work:
        assert (work.out / "half").read_text() == "done"
        with pytest.raises(FileNotFoundError):
            (abandoned / "out" / "late").write_text("by a helper of the dead")


def take_over(store: Store, work: Work) -> None:
    """What another host does that takes the holder of `work` for dead: it makes and publishes the artifact."""
    work.held.token.unlink()
    with store.making("toy", KEY) as successor:
        (successor.out / "x").write_text("theirs")
        store.publish(successor, "label", "sequences", {}, {})


@pytest.mark.parametrize("moment", ["before it publishes", "while it publishes", "with its folders made anew"])
def test_a_holder_that_was_taken_for_dead_does_not_publish(store, monkeypatch, moment) -> None:
    with pytest.raises(LeaseLost, match="taken for dead"), store.making("toy", KEY) as work:
        (work.out / "x").write_text("ours")
        if moment == "while it publishes":  # after its own last look
            real = publish_module.place

            def place(*arguments: object) -> Path:
                monkeypatch.setattr(publish_module, "place", real)
                take_over(store, work)
                return real(*arguments)

            monkeypatch.setattr(publish_module, "place", place)
        else:
            take_over(store, work)
        if moment == "with its folders made anew":
            work.out.mkdir(parents=True)
            (work.out / "x").write_text("ours, later")
            store.find("toy", KEY).path.rename(store.root / "elsewhere")
        store.publish(work, "label", "sequences", {}, {})
    artifact = store.find("toy", KEY)
    if moment == "with its folders made anew":
        assert artifact is None
    else:
        assert (artifact.path / "x").read_text() == "theirs"
    assert list((store.root / "work").iterdir()) == []


def test_scratch_of_a_published_key_is_swept(store) -> None:
    made = publish(store)
    unfinished = store.work("toy", {"other": 1})
    store.begin(unfinished)
    (unfinished.state / "half.pt").write_text("half")
    scratch = store.work("toy", made.key)
    store.begin(scratch)
    Store(store.root).sweep()
    assert list((store.root / "work").iterdir()) == [unfinished.path]


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "the disk of .* is full"), (errno.EDQUOT, "your quota on")]
)
def test_no_space_to_begin_with(store, monkeypatch, number, words) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "mkdir", full)
    with pytest.raises(CacheError, match=f"^{words}.*; free some space, or choose another folder with --store"):
        store.making("toy", KEY).__enter__()


def test_a_read_only_store_serves_what_it_has_and_says_so_for_the_rest(tmp_path) -> None:
    folder = str(tmp_path)
    fault_actions.prepare(folder)
    # The digests of the plan and the folder of links are written first.
    refused = run_until(fault_actions.run_recipe, folder, n=8, how="read-only")
    assert "store cannot be written to (Read-only file system); choose another folder with --store" in refused.error
    fault_actions.run_recipe(folder)
    assert run_until(fault_actions.run_recipe, folder, n=1, how="read-only").error == ""
    fault_actions.recipe_right(folder)


def test_many_files_reach_the_disk_with_one_call(store, monkeypatch) -> None:
    calls = []
    real = files._sync_file_system
    monkeypatch.setattr(files, "_sync_file_system", lambda folder: calls.append(folder) or real(folder))
    for key, count in (({"few": 1}, files.MANY), ({"many": 1}, files.MANY + 1)):
        with store.making("toy", key) as work:
            for number in range(count):
                (work.out / str(number)).write_text("x")
            store.publish(work, "label", "sequences", {}, {})
    assert len(calls) == 1


def test_without_syncfs_every_file_and_folder_is_synced(store, monkeypatch) -> None:
    synced: list[str] = []
    real = os.fsync
    monkeypatch.setattr(files, "_sync_file_system", lambda folder: False)
    monkeypatch.setattr(
        os, "fsync", lambda number: synced.append(os.readlink(f"/proc/self/fd/{number}")) or real(number)
    )
    with store.making("toy", KEY) as work:
        for number in range(files.MANY + 1):
            (work.out / str(number)).mkdir()
            (work.out / str(number) / "x").write_text("x")
        expected = {str(path) for path in work.out.rglob("*")} | {str(work.out)}
        made = store.publish(work, "label", "sequences", {}, {})
    assert expected <= set(synced)
    assert synced[-1] == str(made.path.parent)
