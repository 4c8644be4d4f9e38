"""Every way of using the lip reader is measured."""

from __future__ import annotations

import sys

import pytest

from benchmarks import lipreader


def test_every_way_has_its_row(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(lipreader, "measured", lipreader.one)  # in this process
    monkeypatch.setattr(sys, "argv", ["lipreader", "--size", "small", "--seconds", "0.4"])
    lipreader.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in lines] == list(lipreader.KINDS)
    assert all("s forward" in line and "GB" in line for line in lines)
