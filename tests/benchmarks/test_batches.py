"""Eight at once against one by one: both ways are measured on equal motion, of every network and part."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import batches


@pytest.mark.parametrize("data", ["vocaset", "biwi"])
def test_every_part_has_its_row(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    words = ["--data", data, "--clips", "2", "--seconds", "0.5", "--repeats", "1", "--json", str(tmp_path / "found")]
    monkeypatch.setattr(sys, "argv", ["batches", *words])
    batches.main()
    rows = json.loads((tmp_path / "found").read_text())
    assert [(row["model"], row["part"]) for row in rows] == [
        (model, part) for model in batches.MODELS for part in batches.PARTS
    ]
    assert all(row["alone"] > 0 and row["together"] > 0 for row in rows)
    assert "talkingstyle  motion" in capsys.readouterr().out


def test_motion_that_differs_is_told() -> None:

    with pytest.raises(AssertionError, match=r"differ by 1"):
        batches.both(lambda: [torch.zeros(2)], lambda: [torch.ones(2)])
