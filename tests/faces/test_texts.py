"""Texts that people write: bounded, and any fault is a ValueError in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from faces.errors import DataError
from faces.texts import read_json, read_text, read_toml


def test_what_is_right(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('{"ü": [1]}', encoding="utf-8")
    assert read_json(tmp_path / "a") == {"ü": [1]}
    (tmp_path / "a").write_text("[ü]\n", encoding="latin1")
    assert read_text(tmp_path / "a", encoding="latin1") == "[ü]\n"
    (tmp_path / "a").write_text("[t]\nx = 1\n")
    assert read_toml(tmp_path / "a") == {"t": {"x": 1}}


def test_depth_size_numbers_and_bytes(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("[" * 100_000)
    with pytest.raises(ValueError, match="too deep"):
        read_json(file)
    file.write_text("x = " + "[" * 100_000)
    with pytest.raises(ValueError, match="too deep"):
        read_toml(file)
    file.write_text("9" * 5000)
    with pytest.raises(ValueError):
        read_json(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError):
        read_json(file)
    with pytest.raises(ValueError, match="more than 1 bytes"):
        read_text(file, most=1)
    file.write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(DataError, match="git-LFS pointer"):
        read_text(file)
