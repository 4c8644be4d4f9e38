"""The benchmark of a guided training step runs, small, and says of each case what it should."""

from __future__ import annotations

import sys

import pytest

from benchmarks import guidance


def test_a_table_is_printed(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    words = ["--size", "small", "--seconds", "0.4", "--steps", "1", "--expert", "finetune"]
    monkeypatch.setattr(sys, "argv", ["guidance", *words])
    guidance.main()
    heads, row = capsys.readouterr().out.splitlines()[1:]
    assert heads.split()[:2] == ["expert", "pictures"]
    assert row.split()[:3] == ["finetune", "all", "anew"]
    assert float(row.split()[3]) > 0


def test_an_expert_of_the_official_size_has_its_published_parameters() -> None:
    import torch

    with torch.device("meta"):
        expert = guidance.reader(guidance.Case("frozen", 32, True, "official", 4.0, 1, 1))
    assert sum(parameter.numel() for parameter in expert.parameters()) == 443_977_138
