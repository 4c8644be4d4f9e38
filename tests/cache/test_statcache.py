"""The stat cache never serves a value for a file that changed, and never fails a run."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cache.statcache import StatCache

OLD = time.time() - 3600


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "input.bin"
    path.write_bytes(b"one")
    os.utime(path, (OLD, OLD))
    return path


@pytest.fixture
def grainless(monkeypatch) -> None:
    """Let files be remembered at once; ctime cannot be set back by hand."""
    monkeypatch.setattr("cache.statcache.GRAIN_NS", -(10**12))


def _counting(calls: list[str]):
    def compute(path: Path) -> str:
        calls.append(path.name)
        return path.read_text()

    return compute


@pytest.mark.usefixtures("grainless")
def test_computed_once_across_processes(tmp_path, file) -> None:
    calls: list[str] = []
    for _ in range(3):
        cache = StatCache(tmp_path / "state", "a")
        assert cache.get(file, _counting(calls)) == "one"
        cache.save()
    assert len(calls) == 1


@pytest.mark.usefixtures("grainless")
def test_edit_that_keeps_size_and_mtime_is_seen(tmp_path, file) -> None:
    cache = StatCache(tmp_path / "state", "a")
    before = file.stat()
    assert cache.content(file) == cache.content(file)
    first = cache.content(file)
    file.write_bytes(b"two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert cache.content(file) != first


@pytest.mark.usefixtures("grainless")
def test_touch_is_hashed_once_and_written_back(tmp_path, file) -> None:
    calls: list[str] = []
    cache = StatCache(tmp_path / "state", "a")
    cache.get(file, _counting(calls))
    os.utime(file)
    for _ in range(3):
        cache.get(file, _counting(calls))
    assert len(calls) == 2


def test_a_file_younger_than_the_grain_is_not_trusted(tmp_path, file) -> None:
    calls: list[str] = []
    cache = StatCache(tmp_path / "state", "a")
    file.write_bytes(b"new")
    cache.get(file, _counting(calls))
    cache.get(file, _counting(calls))
    assert len(calls) == 2


def test_a_file_whose_time_lies_ahead_is_hashed_once(tmp_path, file, monkeypatch) -> None:
    """As archives and clocks that were wrong leave them; what tells a late change is the change time."""
    monkeypatch.setattr("cache.statcache.GRAIN_NS", -(10**9))  # the change time is now, and cannot be set back
    os.utime(file, (time.time() + 10**6,) * 2)
    calls: list[str] = []
    for _ in range(2):
        cache = StatCache(tmp_path / "state", "a")
        cache.get(file, _counting(calls))
        cache.save()
    assert len(calls) == 1


@pytest.mark.usefixtures("grainless")
def test_trust_content_remembers_nothing(tmp_path, file) -> None:
    calls: list[str] = []
    cache = StatCache(tmp_path / "state", "a", "content")
    cache.get(file, _counting(calls))
    cache.get(file, _counting(calls))
    assert len(calls) == 2


@pytest.mark.usefixtures("grainless")
def test_damaged_or_unwritable_cache_costs_time_only(tmp_path, file) -> None:
    state = tmp_path / "state"
    state.mkdir()
    odd = ("[]", '{"format": 1}', '{"format": 1, "files": []}', f'{{"format": 1, "files": {{"{file}": 3}}}}')
    for text in ("{ torn", *odd):
        (state / "a.json").write_text(text)
        cache = StatCache(state, "a")
        assert cache.get(file, _counting([])) == "one", text
    (tmp_path / "blocked").write_text("a file where the folder should be")
    unwritable = StatCache(tmp_path / "blocked", "a")
    assert unwritable.get(file, _counting([])) == "one"
    unwritable.save()
