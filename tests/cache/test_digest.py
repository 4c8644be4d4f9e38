"""Digests are stable, tagged and independent of how a value was built."""

from __future__ import annotations

import hashlib

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
