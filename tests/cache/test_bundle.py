"""An export comes back as it was; anything else is refused, and nothing of it is published."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cache import bundle, digest
from cache.errors import CacheError
from cache.store import STORE, Artifact, Store
from cache.verify import folders, verify
from tests.cache.conftest import publish
from tests.cache.killed import survives


@pytest.fixture
def made(store: Store) -> Artifact:
    return publish(store, "read")


@pytest.fixture
def other(tmp_path: Path) -> Store:
    return Store(tmp_path / "other")


def empty(store: Store) -> bool:
    """Whether nothing was published and no file was left in the making."""
    return not list(store.artifacts()) and not [
        path for path in store.root.rglob("*") if path.is_file() and path.name != STORE
    ]


def files(artifact: Artifact) -> dict[str, bytes]:
    found = sorted(path for path in artifact.path.rglob("*") if path.is_file())
    return {str(path.relative_to(artifact.path)): path.read_bytes() for path in found}


def test_there_and_back(store, made, other, tmp_path) -> None:
    bundle.export(made, tmp_path / "x.pipe")
    artifact, new = bundle.load(other, tmp_path / "x.pipe")
    assert new
    assert artifact.name == made.name
    assert files(artifact) == files(made)
    assert verify(artifact.path).findings == []
    assert other.find("read", made.key) is not None
    assert bundle.load(other, tmp_path / "x.pipe") == (other.find("read", made.key), False)
    assert not list((other.root / "work").iterdir())


def test_equal_artifacts_give_equal_files(store, made, other, tmp_path) -> None:
    bundle.export(made, tmp_path / "x.pipe")
    artifact, _ = bundle.load(other, tmp_path / "x.pipe")
    os.utime(artifact.path / "info.json", (1, 1))
    told: list[int] = []
    bundle.export(artifact, tmp_path / "y.pipe", told.append)
    assert (tmp_path / "x.pipe").read_bytes() == (tmp_path / "y.pipe").read_bytes()
    assert sum(told) == made.record["bytes"]
    with tarfile.open(tmp_path / "x.pipe") as tar:
        assert tar.getnames() == [
            "bundle.json",
            "manifest.json",
            "record.json",
            "payload/info.json",
            "payload/wav/a.wav",
        ]
        assert {(m.mtime, m.uid, m.gid, m.uname) for m in tar} == {(0, 0, 0, "")}


def test_a_folder_as_target_gets_a_file_with_the_name(made, tmp_path) -> None:
    assert bundle.file_for(tmp_path, made) == tmp_path / f"read-{made.path.name}.pipe"
    assert bundle.file_for(tmp_path / "x.pipe", made) == tmp_path / "x.pipe"


def test_a_damaged_artifact_is_not_exported(made, tmp_path) -> None:
    victim = made.path / "wav/a.wav"
    data = bytearray(victim.read_bytes())
    data[3] ^= 1
    victim.chmod(0o644)
    victim.write_bytes(data)
    (tmp_path / "x.pipe").write_text("an earlier export")
    for spoil in (lambda: None, lambda: victim.write_text("short"), lambda: (made.path / "manifest.json").unlink()):
        spoil()
        with pytest.raises(CacheError, match="is damaged"):
            bundle.export(made, tmp_path / "x.pipe")
    assert (tmp_path / "x.pipe").read_text() == "an earlier export"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["x.pipe"]


def test_a_damaged_artifact_is_replaced_by_an_import(store, made, tmp_path) -> None:
    bundle.export(made, tmp_path / "x.pipe")
    (made.path / "info.json").unlink()
    _, new = bundle.load(store, tmp_path / "x.pipe")
    assert new
    assert store.find("read", made.key) is not None
    assert len(list((store.root / "quarantine").iterdir())) == 1


Members = list[tuple[tarfile.TarInfo, bytes]]


def rewritten(path: Path, change: Callable[[Members], None]) -> None:
    """The export with its members changed by `change`."""
    with tarfile.open(path) as tar:
        members = [(m, (tar.extractfile(m) or io.BytesIO()).read()) for m in tar]
    change(members)
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for member, data in members:
            member.size = len(data) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(data))


def put(name: str, data: bytes = b"", **facts: object) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        member = tarfile.TarInfo(name)
        for fact, value in facts.items():
            setattr(member, fact, value)
        members.append((member, data))

    return change


def without(name: str) -> Callable[[Members], None]:
    return lambda members: members.__setitem__(slice(None), [m for m in members if m[0].name != name])


def with_json(name: str, change: Callable[[dict], None]) -> Callable[[Members], None]:
    def apply(members: Members) -> None:
        for number, (member, data) in enumerate(members):
            if member.name == name:
                value = json.loads(data)
                change(value)
                members[number] = (member, json.dumps(value).encode())

    return apply


def renamed(old: str, new: str) -> Callable[[Members], None]:
    """A file under another name in the manifest, too, with a record that agrees."""

    def apply(members: Members) -> None:
        with_json("manifest.json", lambda m: m["files"].__setitem__(new, m["files"].pop(old)))(members)
        for member, _ in members:
            if member.name == f"payload/{old}":
                member.name = f"payload/{new}"

    return apply


def first_of(name: str, **facts: object) -> Callable[[Members], None]:
    def apply(members: Members) -> None:
        for member, _ in members:
            if member.name == name:
                for fact, value in facts.items():
                    setattr(member, fact, value)

    return apply


FOREIGN = {
    "a file too many": (put("payload/more", b"x"), "which its manifest does not name"),
    "a path out": (put("../evil", b"x"), "which its manifest does not name"),
    "an absolute path": (put("/evil", b"x"), "which its manifest does not name"),
    "a second time": (put("payload/info.json", b"{}"), "which its manifest does not name"),
    "a device": (put("payload/null", type=tarfile.CHRTYPE), "which its manifest does not name"),
    "a link": (
        first_of("payload/info.json", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        "info.json is no plain file of 2 bytes",
    ),
    "a hard link": (
        first_of("payload/info.json", type=tarfile.LNKTYPE, linkname="record.json"),
        "info.json is no plain file of 2 bytes",
    ),
    "a path out in the manifest": (renamed("info.json", "../evil"), "a path that leaves the artifact"),
    "an absolute path in the manifest": (renamed("info.json", "/evil"), "a path that leaves the artifact"),
    "a record as payload": (renamed("info.json", "record.json"), "a path that leaves the artifact"),
    "a file too few": (without("payload/wav/a.wav"), "wav/a.wav is missing in it"),
    "no manifest": (without("manifest.json"), "manifest.json is not where it should be"),
    "no record": (without("record.json"), r"record\.json is not where it should be"),
    "no head": (without("bundle.json"), "bundle.json is not where it should be"),
    "an odd head": (with_json("bundle.json", lambda h: h.pop("name")), "is not what `pipe cache export` writes"),
    "a newer format": (with_json("bundle.json", lambda h: h.update(format=2)), "update facepipe"),
    "a newer record": (with_json("record.json", lambda r: r.update(format=2)), "update facepipe"),
    "a stage that leaves": (with_json("bundle.json", lambda h: h.update(name="../x--1")), "it names the artifact"),
    "a stage of the store's": (with_json("bundle.json", lambda h: h.update(name="trash/x--1")), "of the store's own"),
    "another stage": (with_json("bundle.json", lambda h: h.update(name="x/x--1")), "do not agree"),
    "another size": (
        with_json("manifest.json", lambda m: m["files"]["info.json"].__setitem__(0, 3)),
        "do not agree",
    ),
    "no size": (with_json("manifest.json", lambda m: m["files"].update(info=[None, ""])), "do not agree"),
    "no files": (with_json("manifest.json", lambda m: m.pop("files")), "cannot be read"),
    "another maker": (with_json("record.json", lambda r: r["provenance"].update(step="y")), "do not agree"),
    "another key": (with_json("record.json", lambda r: r["key"].update(stage="y")), "do not agree"),
    "another hash": (with_json("record.json", lambda r: r.update(key_digest="x9:0")), "digests are of another kind"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_no_export_writes_is_refused(made, other, tmp_path, case) -> None:
    change, sentence = FOREIGN[case]
    bundle.export(made, tmp_path / "x.pipe")
    rewritten(tmp_path / "x.pipe", change)
    with pytest.raises(CacheError, match=sentence):
        bundle.load(other, tmp_path / "x.pipe")
    assert empty(other)
    assert not (tmp_path / "evil").exists()


def test_other_bytes_are_refused(made, other, tmp_path) -> None:
    bundle.export(made, tmp_path / "x.pipe")
    data = bytearray((tmp_path / "x.pipe").read_bytes())
    data[data.index(b"read 1 read 1")] ^= 1
    (tmp_path / "x.pipe").write_bytes(data)
    with pytest.raises(CacheError, match=r"wav/a\.wav has other bytes"):
        bundle.load(other, tmp_path / "x.pipe")
    assert empty(other)


def test_a_file_cut_short_anywhere_is_refused(made, other, tmp_path) -> None:
    bundle.export(made, tmp_path / "x.pipe")
    data = (tmp_path / "x.pipe").read_bytes()
    end = data.rindex(b"read 1 ") + 6
    for length in [0, 1, 300, *range(512, end, 512), end]:
        (tmp_path / "cut.pipe").write_bytes(data[:length])
        with pytest.raises(CacheError, match=r"cut short|is empty|is missing in it|not where it should be"):
            bundle.load(other, tmp_path / "cut.pipe")
        assert empty(other)


@pytest.mark.parametrize("data", [b"PK\x03\x04 some other archive" * 100, b"\0" * 20480, b"\x1f\x8b" * 900])
def test_other_files_are_refused(other, tmp_path, data) -> None:
    (tmp_path / "x.pipe").write_bytes(data)
    with pytest.raises(CacheError, match=r"no file that `pipe cache export` writes|not where it should be|cut short"):
        bundle.load(other, tmp_path / "x.pipe")
    assert empty(other)


def test_more_after_the_end_is_refused(made, other, tmp_path) -> None:
    bundle.export(made, tmp_path / "x.pipe")
    with (tmp_path / "x.pipe").open("ab") as stream:
        stream.write(b"\0" * 2 * tarfile.RECORDSIZE)
    with pytest.raises(CacheError, match="more in it than its manifest says"):
        bundle.load(other, tmp_path / "x.pipe")
    assert empty(other)


def test_a_missing_file_and_a_full_disk_are_said_so(made, other, tmp_path, monkeypatch) -> None:
    with pytest.raises(CacheError, match=r"none\.pipe: No such file"):
        bundle.load(other, tmp_path / "none.pipe")
    bundle.export(made, tmp_path / "x.pipe")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle._Import, "_unpack_file", full)
    with pytest.raises(CacheError, match=r"disk of .* is full; nothing was imported"):
        bundle.load(other, tmp_path / "x.pipe")
    assert empty(other)
    with pytest.raises(CacheError, match=r"nothing was exported"):
        bundle.export(made, tmp_path / "x.pipe" / "no folder")


def test_an_export_killed_at_any_change_is_whole_or_not_there(made, tmp_path) -> None:
    bundle.export(made, tmp_path / "whole.pipe")
    finished, changes = False, 0
    while not finished:
        target = tmp_path / f"{changes}.pipe"
        finished = survives(lambda target=target: bundle.export(made, target), changes)
        assert not target.exists() or target.read_bytes() == (tmp_path / "whole.pipe").read_bytes()
        bundle.export(made, target)
        changes += 1
    assert changes > 1


def test_an_import_killed_at_any_change_publishes_all_or_nothing(made, tmp_path) -> None:
    bundle.export(made, tmp_path / "x.pipe")
    finished, changes = False, 0
    while not finished:
        store = Store(tmp_path / str(changes))
        finished = survives(lambda store=store: bundle.load(store, tmp_path / "x.pipe"), changes)
        assert all(verify(folder).findings == [] for folder in folders(store))
        artifact, _ = bundle.load(store, tmp_path / "x.pipe")
        assert files(artifact) == files(made)
        changes += 1
    assert changes > 15


def test_names_that_may_be_paths() -> None:
    from cache.names import inside

    assert all(map(inside, ["a", "a/b.c", ".hidden", "a..b", "ü"]))
    refused = [
        "",
        "/a",
        "a/",
        "a//b",
        "../a",
        "a/../b",
        ".",
        "a\\b",
        "c:a",
        "a\0",
        "record.json",
        "manifest.json",
        "a" * 5000,
    ]
    assert not any(map(inside, refused))
    assert digest.known(digest.of_bytes(b""))
