"""Digests are stable, tagged and independent of how a value was built."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from cache import digest


def test_canonical_json_has_one_spelling() -> None:
    assert digest.canonical({"b": 1e-4, "a": [1, "ü"]}) == '{"a":[1,"ü"],"b":0.0001}'
    assert digest.of_json({"a": 1, "b": 2}) == digest.of_json({"b": 2, "a": 1})


def test_nan_has_no_place_in_a_key() -> None:
    with pytest.raises(ValueError):
        digest.canonical({"a": float("nan")})


def test_file_and_bytes_agree(tmp_path) -> None:
    data = bytes(range(256)) * 9000  # several chunks
    (tmp_path / "x").write_bytes(data)
    assert digest.of_file(tmp_path / "x") == digest.of_bytes(data)


def test_digest_names_its_algorithm() -> None:
    assert digest.of_bytes(b"abc").startswith(digest.PREFIX)
    assert len(digest.short(digest.of_bytes(b"abc"))) == 8


def test_without_blake3_sha256_serves(monkeypatch) -> None:
    monkeypatch.setattr(digest, "_blake3", None)
    monkeypatch.setattr(digest, "PREFIX", "s2:")
    assert digest.of_bytes(b"abc") == "s2:" + hashlib.sha256(b"abc").hexdigest()[:32]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large files begin at 1,000 bytes, and four threads read them in pieces of 512."""
    monkeypatch.setattr(digest, "LARGE", 1000)
    monkeypatch.setattr(digest, "_BLOCK", 512)
    monkeypatch.setattr(digest, "processors", lambda: 8)


@pytest.mark.parametrize("size", [0, 999, 1000, 1023, 1024, 1025, 1537, 5000, 100_001])
def test_a_large_file_has_the_same_digest_as_its_bytes(tmp_path, small_blocks, size) -> None:
    data = bytes(number % 251 for number in range(size))
    (tmp_path / "x").write_bytes(data)
    told: list[int] = []
    assert digest.of_file_read(tmp_path / "x", told.append) == digest.of_bytes(data)
    assert sum(told) == size
    assert digest.of_file(tmp_path / "x") == digest.of_bytes(data)


def test_a_file_that_becomes_shorter_while_it_is_read_is_an_error(tmp_path, small_blocks) -> None:
    if digest.PREFIX != "b3:":
        pytest.skip("one thread reads what there is")
    (tmp_path / "x").write_bytes(bytes(4000))
    with pytest.raises(OSError, match="became shorter"):
        digest.of_file_read(tmp_path / "x", lambda _: os.truncate(tmp_path / "x", 100))


def test_a_forked_child_hashes_large_files_too(tmp_path, small_blocks) -> None:
    """Threads do not survive a fork; a shared pool of them would be waited for in vain."""
    (tmp_path / "x").write_bytes(bytes(4000))
    expected = digest.of_file(tmp_path / "x")
    child = os.fork()
    if child == 0:
        os._exit(0 if digest.of_file(tmp_path / "x") == expected == digest.of_file_read(tmp_path / "x") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_many_files_at_once(tmp_path, small_blocks) -> None:
    data = {tmp_path / f"{number}": bytes([number]) * (number * 40) for number in range(60)}
    for path, content in data.items():
        path.write_bytes(content)
    missing = tmp_path / "missing"
    found = dict(digest.of_files([*data, missing]))
    assert isinstance(found.pop(missing), FileNotFoundError)
    assert found == {path: digest.of_bytes(content) for path, content in data.items()}
    assert [path for path, _ in digest.of_files([])] == []


def test_digests_of_the_other_algorithm(tmp_path, small_blocks) -> None:
    (tmp_path / "x").write_bytes(bytes(4000))
    assert digest.of_file_read(tmp_path / "x", prefix="s2:") == "s2:" + hashlib.sha256(bytes(4000)).hexdigest()[:32]
    assert digest.known("s2:00")
    assert not digest.known("x9:00")


def test_files_of_other_machines_are_not_mapped(tmp_path, small_blocks, monkeypatch) -> None:
    """A map would kill the process when the server goes away."""
    (tmp_path / "x").write_bytes(bytes(4000))
    read: list[Path] = []
    monkeypatch.setattr(digest, "of_file_read", lambda path: read.append(path) or "b3:")
    digest.of_file(tmp_path / "x")
    assert read == ([] if digest.PREFIX == "b3:" else [tmp_path / "x"])
    device = os.stat(tmp_path).st_dev
    line = f"36 35 {os.major(device)}:{os.minor(device)} / /data rw shared:1 - nfs4 server:/data rw"
    monkeypatch.setattr(Path, "read_text", lambda _: f"22 1 0:21 / /sys rw - sysfs sysfs rw\n{line}\n")
    digest.of_file(tmp_path / "x")
    assert read[-1:] == [tmp_path / "x"]
