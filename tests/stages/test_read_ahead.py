"""Reading ahead: all of a file is asked for, and what cannot be asked for is passed over."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from stages.metrics.read_ahead import PIECE, read_ahead

pytestmark = pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="this system takes no such wishes")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(first byte, bytes) of every wish."""
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda handle, start, length, wish: found.append((start, length)))
    return found


def wait(thread: threading.Thread | None) -> None:
    assert thread is not None
    thread.join()


def test_all_of_a_file_is_asked_for_piece_by_piece(tmp_path: Path, asked: list[tuple[int, int]]) -> None:
    file = tmp_path / "long.npy"
    file.write_bytes(bytes(3 * PIECE + 1))
    wait(read_ahead([file]))
    assert asked == [(n * PIECE, PIECE) for n in range(4)]


def test_what_is_missing_is_passed_over(tmp_path: Path, asked: list[tuple[int, int]]) -> None:
    there = tmp_path / "there.npy"
    there.write_bytes(b"x")
    wait(read_ahead([tmp_path / "gone.npy", there]))
    assert asked == [(0, PIECE)]


def test_a_system_without_such_wishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "posix_fadvise")
    assert read_ahead([tmp_path / "any.npy"]) is None
