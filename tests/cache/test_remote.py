"""What is pushed is what is pulled; a half-uploaded artifact is invisible; what is damaged is named, never believed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cache import transfer
from cache.adopt import Parcel
from cache.errors import CacheError, RemoteDamaged, RemoteDown, RemoteError
from cache.lease import lease
from cache.remote import Moved, Remote
from cache.store import Artifact, Store
from cache.transport import Folder, connect, shown
from tests import sftp as ssh
from tests.cache.test_store import KEY
from tests.s3 import Server, free_port, point_at, s3, s3_server, silent_port, start, stop
from tests.sftp import sftp

__all__ = ["free_port", "s3", "s3_server", "sftp", "silent_port"]
ROOT = Path(__file__).parents[2]
FILES = {"wav/a.wav": "hello", "wav/b.wav": "world", "wav/twin.wav": "hello", "info.json": "{}"}


def publish(store: Store, files: dict[str, str] = FILES, key=KEY) -> Artifact:
    work = store.work("toy", key)
    store.begin(work)
    for name, text in files.items():
        (work.out / name).parent.mkdir(exist_ok=True)
        (work.out / name).write_text(text)
    return store.publish(work, "label", "sequences", {}, {"recipe": "r", "step": "s"})


def push(remote: Remote, artifact: Artifact, *, again: bool = False) -> Moved:
    moved = Moved()
    for _ in remote.push(artifact, moved, again=again):
        pass
    return moved


def pull(remote: Remote, store: Store, key=KEY) -> Artifact:
    parcel = remote.find("toy", key)
    assert parcel is not None
    work, done = store.work("toy", key), []
    store.begin(work)
    with lease(work.lease):
        for _ in remote.pull(parcel, store, work, Moved(), done):
            pass
    return done[0]


def texts(artifact: Artifact) -> dict[str, str]:
    return {name: (artifact.path / name).read_text() for name in artifact.manifest().files}


@pytest.fixture
def here(tmp_path: Path) -> Store:
    return Store(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Store:
    return Store(tmp_path / "there")


@pytest.fixture(params=["folder", "file", "memory", "s3", "ssh"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "ssh":
        server = request.getfixturevalue("sftp")
        server.known_to(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path))
        return f"ssh://me:word@127.0.0.1:{server.port}{tmp_path}/remote"
    if request.param == "s3":
        request.getfixturevalue("s3")
        return "s3://lab/some/where"
    if request.param == "memory":
        return f"memory://{tmp_path.name}/cache"
    return f"{'file://' if request.param == 'file' else ''}{tmp_path}/remote"


def test_what_is_pushed_is_pulled(url, here, there) -> None:
    remote, artifact = Remote(url), publish(here)
    assert remote.find("toy", KEY) is None
    moved = push(remote, artifact)
    assert (moved.files, moved.bytes) == (3, 12)  # equal files travel once
    pulled = pull(Remote(url), there)
    assert texts(pulled) == FILES
    assert pulled.record == artifact.record
    assert pulled.name == artifact.name
    assert there.find("toy", KEY) is not None
    assert not there.work("toy", KEY).path.exists()
    assert (pulled.path / "info.json").stat().st_mode & 0o777 == 0o444


def test_a_second_push_moves_nothing_and_heals_what_is_missing(url, here) -> None:
    remote, artifact = Remote(url), publish(here)
    push(remote, artifact)
    assert push(remote, artifact) == Moved(there=3)
    assert push(remote, artifact, again=True).files == 3
    assert len(remote.missing(Parcel.of(artifact))) == 0


def test_files_that_another_artifact_brought_are_not_sent_again(url, here) -> None:
    remote = Remote(url)
    push(remote, publish(here))
    assert push(remote, publish(here, FILES | {"new.txt": "new"}, {"other": 1})) == Moved(1, 3, 3)


def test_names_are_found_by_the_beginning_of_a_key(url, here) -> None:
    remote, artifact = Remote(url), publish(here)
    push(remote, artifact)
    digits = str(artifact.record["key_digest"]).partition(":")[2]
    for stage in ("toy", ""):
        (parcel,) = remote.named(stage, digits[:8])
        assert parcel.name == artifact.name
    assert remote.named("toy", "0" * 8) == []
    assert remote.named("other", digits) == []
    with pytest.raises(RemoteError, match="write at least 8 digits"):
        remote.named("toy", "12*")


def test_another_result_under_the_same_key_is_kept(tmp_path, here, there) -> None:
    remote = Remote(str(tmp_path / "remote"))
    push(remote, publish(here))
    assert push(remote, publish(there, {"other": "bytes"})) == Moved(other=True)
    assert texts(pull(remote, Store(tmp_path / "third"))) == FILES


def objects(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "objects").rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda path: path.write_text("jello"), r"objects/b3/../\w+ \(toy/label--\w{8}\) is damaged: other bytes"),
        (lambda path: path.write_text("h"), "is damaged: other bytes"),
        (Path.unlink, r"objects/b3/../\w+ \(toy/label--\w{8}\) is missing"),
    ],
)
def test_a_damaged_object_is_named_and_nothing_is_published(tmp_path, here, there, harm, sentence) -> None:
    remote, artifact = Remote(str(tmp_path / "remote")), publish(here)
    push(remote, artifact)
    (victim,) = (path for path in objects(tmp_path / "remote") if path.read_text() == "hello")
    harm(victim)
    with pytest.raises(RemoteDamaged, match=sentence):
        pull(remote, there)
    assert there.find("toy", KEY) is None
    assert push(remote, artifact, again=True).files == 3
    assert texts(pull(remote, there)) == FILES  # what had arrived before is used


def test_a_damaged_object_in_a_bucket(s3: Server, here, there) -> None:
    remote = Remote("s3://lab/x")
    push(remote, publish(here))
    digits = next(iter(remote.find("toy", KEY).manifest.files.values()))[1].partition(":")[2]
    name, bucket = f"objects/b3/{digits[:2]}/{digits[2:]}", connect("s3://lab/x")
    bucket.write(name, b"no")
    with pytest.raises(RemoteDamaged, match=r"s3://lab/x/objects/b3/.* is damaged"):
        pull(remote, there)
    bucket._fs.rm(f"lab/x/{name}")
    with pytest.raises(RemoteDamaged, match="is missing"):
        pull(remote, there)


def _edited(change):
    def edit(path: Path) -> None:
        value = json.loads(path.read_text())
        change(value)
        path.write_text(json.dumps(value))

    return edit


def _resealed(change):
    """A record that somebody wrote with care."""

    def edit(value) -> None:
        from cache import digest

        change(value)
        value["digest"] = digest.of_json([value["label"], value["record"], value["manifest"]])

    return _edited(edit)


def _climb(value) -> None:
    value["manifest"]["files"]["../../outside"] = value["manifest"]["files"].pop("info.json")
    from cache.manifest import Manifest

    value["record"]["content"] = Manifest.from_json(value["manifest"]).content()


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda path: path.write_text(path.read_text()[:50]), "it is not JSON"),
        (lambda path: path.write_text("[]"), "no record of an artifact"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "it is not JSON"),
        (_edited(lambda value: value.update(format=2)), "newer version of facepipe"),
        (_edited(lambda value: value.update(digest="s2:00")), "install blake3"),
        (_edited(lambda value: value["record"].update(kind="x")), "its digest does not fit"),
        (_resealed(lambda value: value["record"].update(key={"a": 1})), "its key has another digest"),
        (_resealed(lambda value: value["record"].update(content={})), "manifest is not that of its record"),
        (_resealed(lambda value: value["record"].pop("content")), "is damaged"),
        (_resealed(lambda value: value["record"].update(bytes="1")), "bytes is no int"),
        (_resealed(lambda value: value["record"].update(stage="../x")), "no name of a stage"),
        (_resealed(lambda value: value["record"].update(stage="other")), "belongs to another key"),
        (_resealed(_climb), "'../../outside' is no name of a file inside it"),
    ],
)
def test_a_record_that_is_not_whole_is_named(tmp_path, here, harm, sentence) -> None:
    remote = Remote(str(tmp_path / "remote"))
    push(remote, publish(here))
    (record,) = (tmp_path / "remote/records/toy").iterdir()
    harm(record)
    with pytest.raises(RemoteDamaged, match=sentence) as raised:
        remote.find("toy", KEY)
    assert str(record) in str(raised.value)
    push(remote, publish(here, key={"k": 1}))  # others are not touched by it


def test_a_file_that_rots_here_is_not_uploaded_under_its_old_name(tmp_path, here) -> None:
    remote, artifact = Remote(str(tmp_path / "remote")), publish(here)
    path = artifact.path / "wav/b.wav"
    path.chmod(0o644)
    path.write_text("wurld")
    with pytest.raises(CacheError, match=r"wav/b.wav is damaged here, so it was not uploaded"):
        push(remote, artifact)
    assert remote.find("toy", KEY) is None


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


@pytest.mark.parametrize(
    ("address", "kind", "sentence"),
    [
        ("ftp://host/x", RemoteError, "the protocol 'ftp' is not known; there are file, s3, gs, ssh, sftp"),
        ("file://nfs/x", RemoteError, "three slashes, as in file:///nfs/x"),
        ("s3://", RemoteError, "names no bucket or host"),
        ("ssh://me:secret@127.0.0.1:9/x", RemoteDown, "ssh://me:…@127.0.0.1:9/x cannot be reached"),
        ("/absent/disk/cache", RemoteError, "the folder /absent/disk does not exist .a disk that is not mounted"),
    ],
)
def test_an_address_that_cannot_be(address, kind, sentence, here) -> None:
    if address.startswith("ssh"):
        pytest.importorskip("paramiko", reason="paramiko is not installed; pip install -e '.[ssh]' brings it")
    with pytest.raises(kind, match=sentence) as raised:
        Remote(address).find("toy", KEY)
    assert "secret" not in str(raised.value)


def test_a_missing_library_is_said_with_its_extra() -> None:
    code = (
        "import sys\nfrom cache.remote import Remote\n"
        "for library, address in (('s3fs', 's3://b/x'), ('gcsfs', 'gs://b/x'), ('paramiko', 'ssh://h/x')):\n"
        "    sys.modules[library] = None\n"
        "    try:\n        Remote(address)\n    except Exception as error:\n        print(type(error).__name__, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    says = "its library is not installed; run pip install 'facepipe"
    assert done.stdout.splitlines() == [
        f"RemoteError remote s3://b/x: {says}[s3]'",
        f"RemoteError remote gs://b/x: {says}[gcs]'",
        f"RemoteError remote ssh://h/x: {says}[ssh]'",
    ]


def test_a_bucket_that_does_not_exist(s3: Server, here) -> None:
    for use in (
        lambda: Remote("s3://nowhere/x").find("toy", KEY),
        lambda: push(Remote("s3://nowhere/x"), publish(here)),
    ):
        with pytest.raises(RemoteError, match="remote s3://nowhere/x: the bucket does not exist; check the address"):
            use()


def test_wrong_credentials(monkeypatch) -> None:
    server = start(INITIAL_NO_AUTH_ACTION_COUNT="1")  # from then on this server knows nobody
    try:
        point_at(monkeypatch, server.address)
        with pytest.raises(RemoteError, match=r"access was refused .*; check AWS_ACCESS_KEY_ID") as raised:
            Remote("s3://lab/x").find("toy", KEY)
        assert not isinstance(raised.value, RemoteDown)
        assert "not-a-secret" not in str(raised.value)
    finally:
        stop(server)


def test_no_credentials(s3: Server, monkeypatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(RemoteError, match="no credentials were found; check AWS_ACCESS_KEY_ID"):
        Remote("s3://lab/x").find("toy", KEY)


def test_a_server_that_is_down(s3: Server, monkeypatch, free_port) -> None:
    point_at(monkeypatch, f"127.0.0.1:{free_port}")
    with pytest.raises(RemoteDown, match="remote s3://lab/x cannot be reached"):
        Remote("s3://lab/x").find("toy", KEY)


def test_a_server_that_hangs(s3: Server, monkeypatch, silent_port) -> None:
    point_at(monkeypatch, f"127.0.0.1:{silent_port}")
    monkeypatch.setattr(transfer, "PATIENCE_S", 0.3)
    with pytest.raises(RemoteDown, match="did not answer within 0 s"):
        Remote("s3://lab/x").find("toy", KEY)


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


def test_a_host_that_is_not_known_is_not_talked_to(sftp: ssh.Server, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(RemoteError, match=r"access was refused .*known_hosts.*; ssh must log in there without asking"):
        Remote(f"ssh://me:word@127.0.0.1:{sftp.port}/x")
    sftp.known_to(tmp_path)
    with pytest.raises(RemoteError, match=r"access was refused .Authentication failed"):
        Remote(f"ssh://me:wrong@127.0.0.1:{sftp.port}/x")


def test_passwords_are_not_shown() -> None:
    assert shown("ssh://me:pa/ss@word@host/x") == "ssh://me:…@host/x"
    assert shown("s3://bucket/a@b?key=1") == "s3://bucket/a@b"
    assert shown("/plain/folder") == "/plain/folder"


def test_a_store_of_its_own_is_not_harmed_by_a_second_arrival(tmp_path, here, there) -> None:
    """What is damaged here is set aside when its successor arrives."""
    remote = Remote(str(tmp_path / "remote"))
    push(remote, publish(here))
    first = pull(remote, there)
    first.path.chmod(0o755)
    shutil.rmtree(first.path / "wav")
    assert there.find("toy", KEY) is None
    assert texts(pull(remote, there)) == FILES
    assert len(list((there.root / "quarantine").iterdir())) == 1
