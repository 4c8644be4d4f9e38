"""Every kind of damage is found, what is sound is left alone, and repairing loses nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cache import digest
from cache import verify as module
from cache.store import Artifact, Store
from cache.verify import ALL, Kind, Sample, folders, repair, verify
from tests.cache.conftest import publish


def found(artifact: Artifact, sample: Sample = ALL) -> list[str]:
    report = verify(artifact.path, sample)
    assert report is not None
    return [str(finding) for finding in report.findings]


def edit(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)


def test_a_sound_artifact_has_no_findings(store) -> None:
    made = publish(store, "read")
    report = verify(made.path)
    assert report is not None
    assert report.findings == []
    assert report.checked == (2, made.record["bytes"])
    assert list(folders(store)) == [made.path]


def flip(folder: Path) -> None:
    data = bytearray((folder / "wav/a.wav").read_bytes())
    data[7] ^= 4
    edit(folder / "wav/a.wav", data)


def swap_record(folder: Path, **changes: object) -> None:
    record = json.loads((folder / "record.json").read_bytes())
    (folder / "record.json").write_text(json.dumps(record | changes))


DAMAGE = {
    "a flipped bit": (flip, "wav/a.wav has other bytes than were published"),
    "truncated": (lambda f: edit(f / "wav/a.wav", b"re"), "wav/a.wav has 2 bytes instead of 700"),
    "missing": (lambda f: (f / "wav/a.wav").unlink(), "wav/a.wav is missing"),
    "a folder in its place": (
        lambda f: ((f / "wav/a.wav").unlink(), (f / "wav/a.wav").symlink_to("/")),
        "wav/a.wav is no plain file any more",
    ),
    "no record": (lambda f: (f / "record.json").unlink(), "record.json is missing"),
    "another tale of how it was made": (
        lambda f: swap_record(f, provenance={"recipe": "r", "step": "other"}),
        "record.json is no longer what was written",
    ),
    "another kind": (lambda f: swap_record(f, kind="video"), "record.json is no longer what was written"),
    "torn record": (lambda f: (f / "record.json").write_text('{"kind"'), "record.json is no longer what was written"),
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "manifest.json is missing"),
    "torn manifest": (lambda f: (f / "manifest.json").write_text("[]"), "manifest.json is no longer what was written"),
    "another content": (
        lambda f: swap_record(f, content={}),
        "record.json and manifest.json tell of different contents",
    ),
    "another key": (lambda f: swap_record(f, key={"n": 2}), "record.json holds another key than it was published for"),
    "a path out": (
        lambda f: (f / "manifest.json").write_text('{"files": {"../x": [1, "b3:0"]}, "items": {}}'),
        "manifest.json names '../x', which is no file of an artifact",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_found_and_set_aside(store, case) -> None:
    spoil, sentence = DAMAGE[case]
    made, sound = publish(store, "read"), publish(store, "double")
    spoil(made.path)
    assert sentence in found(made)
    assert found(sound) == []
    report = verify(made.path)
    assert report is not None
    assert report.damaged
    (line,) = repair(store, report)
    assert line == f"moved to quarantine/read-{made.path.name}.1"
    assert not made.path.exists()
    assert len(list((store.root / "quarantine").rglob("info.json"))) == 1
    assert verify(publish(store, "read").path).findings == []


def test_what_can_be_mended_in_place_is(store) -> None:
    made = publish(store, "read")
    (made.path / "wav" / "notes.txt").write_text("mine")
    (made.path / ".x.12.tmp").write_text("")
    (made.path / "info.json").chmod(0o664)
    assert sorted(found(made)) == [
        ".x.12.tmp was left behind",
        "info.json is writable",
        "wav/notes.txt does not belong here",
    ]
    report = verify(made.path)
    assert report is not None
    assert not report.damaged
    done = repair(store, report)
    assert f"1 file moved to quarantine/read-{made.path.name}.stray.1" in done
    assert found(made) == []
    assert (store.root / f"quarantine/read-{made.path.name}.stray.1/wav/notes.txt").read_text() == "mine"
    (made.path / "more").write_text("again")
    repair(store, verify(made.path))
    assert (store.root / f"quarantine/read-{made.path.name}.stray.2/more").exists()


def test_unreadable_files_are_no_reason_to_throw_an_artifact_away(store, monkeypatch) -> None:
    made = publish(store, "read")

    def denied(paths, tell, prefix):
        for path in paths:
            yield path, PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(digest, "of_files", denied)
        report = verify(made.path)
    assert report is not None
    assert {finding.kind for finding in report.findings} == {Kind.DENIED}
    assert not report.damaged


def test_an_artifact_of_a_newer_version_is_left_alone(store) -> None:
    made = publish(store, "read")
    swap_record(made.path, format=99)
    report = verify(made.path)
    assert report is not None
    assert [(f.kind, f.problem[:22]) for f in report.findings] == [(Kind.UNKNOWN, "cannot be checked here")]
    assert repair(store, report) == []
    assert made.path.is_dir()


def test_a_record_that_may_not_be_read_is_no_damage(store, monkeypatch) -> None:
    made, real = publish(store, "read"), Path.read_bytes

    def refused(path: Path) -> bytes:
        if path.name == "record.json":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    report = verify(made.path)
    assert report is not None
    assert [(f.kind, f.file) for f in report.findings] == [(Kind.DENIED, "record.json")]


def test_folders_of_the_users_own_are_passed_over(store) -> None:
    made = publish(store, "read")
    (made.path.parent / "my--notes").mkdir()
    assert list(folders(store)) == [made.path]


def test_a_failing_disk_is_named(store, monkeypatch) -> None:
    made = publish(store, "read")
    monkeypatch.setattr(digest, "of_file_read", _failing)
    assert "wav/a.wav cannot be read (Input/output error); the disk may be failing" in found(made)


def _failing(path: Path, *_: object) -> str:
    raise OSError(5, "Input/output error", str(path))


def test_a_sample_is_the_same_files_every_time_and_all_parts_are_everything() -> None:
    names = [f"wav/{number}.wav" for number in range(2000)]
    one = [name for name in names if Sample.parse("10%").takes(name)]
    assert 120 < len(one) < 280
    assert one == [name for name in names if Sample.parse("10%").takes(name)]
    parts = [[name for name in names if Sample.parse(f"{part}/7").takes(name)] for part in range(1, 8)]
    assert sorted(name for part in parts for name in part) == sorted(names)
    assert all(Sample.parse("100%").takes(name) for name in names)


@pytest.mark.parametrize("text", ["", "x", "0%", "101%", "-1%", "0/3", "4/3", "1/0", "nan%"])
def test_a_sample_that_makes_no_sense_is_refused(text) -> None:
    with pytest.raises((ValueError, ZeroDivisionError)):
        Sample.parse(text)


def test_a_sample_still_checks_presence_and_sizes(store) -> None:
    made = publish(store, "read")
    flip(made.path)
    none = Sample(0.0, 1e-12)
    assert found(made, none) == []
    edit(made.path / "wav/a.wav", b"")
    assert found(made, none) == ["wav/a.wav has 0 bytes instead of 700"]


def test_what_is_replaced_or_gone_meanwhile_is_no_damage(store, monkeypatch) -> None:
    made = publish(store, "read")
    flip(made.path)
    real, calls = module._look, []

    def replaced_after(folder, sample, tell):
        report = real(folder, sample, tell)
        if not calls:
            calls.append(folder)
            store.set_aside(made)
            publish(store, "read")
        return report

    monkeypatch.setattr(module, "_look", replaced_after)
    assert verify(made.path).findings == []
    os.rename(made.path, store.root / "gone")
    assert verify(made.path) is None


def test_progress_counts_every_byte(store) -> None:
    made, told = publish(store, "read"), []
    verify(made.path, ALL, told.append)
    assert sum(told) == made.record["bytes"]


def test_digests_of_a_machine_without_blake3_are_compared(store, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(digest, "PREFIX", "s2:")
        made = publish(store, "read")
    if digest.PREFIX == "b3:":
        assert found(made) == []
        flip(made.path)
        assert found(made) == ["wav/a.wav has other bytes than were published"]


def test_digests_of_an_unknown_algorithm_are_no_damage(store) -> None:
    made = publish(store, "read")
    text = (made.path / "manifest.json").read_text().replace(digest.PREFIX, "x9:")
    (made.path / "manifest.json").write_text(text)
    report = verify(made.path)
    assert report is not None
    assert Kind.UNKNOWN in {finding.kind for finding in report.findings}


def test_an_artifact_under_the_name_of_another_key(store: Store) -> None:
    made = publish(store, "read")
    other = made.path.with_name("label--00000000")
    os.rename(made.path, other)
    report = verify(other)
    assert report is not None
    assert report.made_by == "toy/read"
    assert "the folder has the name of another key" in str(report.findings[0])


def test_another_tale_of_the_items_is_damage(store) -> None:
    made = publish(store, "read")
    path = made.path / "manifest.json"
    value = json.loads(path.read_text())
    value["items"]["a"][1] = "b3:" + "0" * 32
    path.write_text(json.dumps(value))
    assert [finding.problem for finding in verify(made.path).findings] == [
        "record.json and manifest.json tell of different contents"
    ]
    value["items"]["a"][2] = ["gone.npy"]
    path.write_text(json.dumps(value))
    assert store.damage(made) == "manifest.json is missing or unreadable"
