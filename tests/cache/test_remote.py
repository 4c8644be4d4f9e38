"""What is pushed is what is pulled; what is damaged is named, never believed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cache.errors import CacheError, RemoteDamaged, RemoteError
from cache.parcel import Parcel
from cache.remote import Moved, Remote
from cache.store import Store
from cache.transport import connect
from tests.cache.remotes import FILES, here, objects, publish, pull, push, texts, there, url
from tests.cache.test_store import KEY
from tests.s3 import Server, s3, s3_server
from tests.sftp import sftp

__all__ = ["here", "s3", "s3_server", "sftp", "there", "url"]


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
    assert push(remote, publish(there, {"other": "bytes"}), again=True).files == 1
    assert texts(pull(remote, Store(tmp_path / "fourth"))) == {"other": "bytes"}


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
        (lambda path: path.write_text("[" * 100_000), "it is not JSON"),
        (_edited(lambda value: value["record"].update(kind="x")), "its digest does not fit"),
        (_resealed(lambda value: value["record"].update(key={"a": 1})), "its key has another digest"),
        (_resealed(lambda value: value["record"].update(content={})), "manifest is not that of its record"),
        (_resealed(lambda value: value["record"].pop("content")), "is damaged"),
        (_resealed(lambda value: value["record"].update(bytes="1")), "bytes is no int"),
        (_resealed(lambda value: value["record"].update(format=0)), "format 0"),
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


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_edited(lambda value: value.update(format=2)), "written by a newer version of facepipe"),
        (_resealed(lambda value: value["record"].update(format=2)), "written by a newer version of facepipe"),
        (_edited(lambda value: value.update(digest="s2:00")), "install blake3"),
    ],
)
def test_what_a_newer_version_wrote_is_no_damage_and_stays(tmp_path, here, change, sentence) -> None:
    remote, artifact = Remote(str(tmp_path / "remote")), publish(here)
    push(remote, artifact)
    (record,) = (tmp_path / "remote/records/toy").iterdir()
    change(record)
    before = record.read_bytes()
    for call in (lambda: remote.find("toy", KEY), lambda: push(remote, artifact)):
        with pytest.raises(RemoteError, match=sentence) as raised:
            call()
        assert not isinstance(raised.value, RemoteDamaged)
    assert record.read_bytes() == before


def test_a_file_that_rots_here_is_not_uploaded_under_its_old_name(tmp_path, here) -> None:
    remote, artifact = Remote(str(tmp_path / "remote")), publish(here)
    path = artifact.path / "wav/b.wav"
    path.chmod(0o644)
    path.write_text("wurld")
    with pytest.raises(CacheError, match=r"wav/b.wav is damaged here, so it was not uploaded"):
        push(remote, artifact)
    assert remote.find("toy", KEY) is None


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
