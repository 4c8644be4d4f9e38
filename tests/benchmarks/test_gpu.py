"""The script for a GPU runs anywhere, small, so that a borrowed one is not spent on finding its mistakes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import gpu
from benchmarks.training_case import MODELS


@pytest.mark.parametrize("model", MODELS)
def test_both_tables_are_filled(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    size = ["--model", model, "--device", "cpu", "--size", "small", "--threads", "1"]
    words = [*size, "--sentences", "3", "--few", "2", "--batch", "2", "--seconds", "1", "2", "--json"]
    monkeypatch.setattr(sys, "argv", ["gpu", *words, str(tmp_path / "gpu.json")])
    gpu.main()
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert [(row["who"], row["precision"], row["batch"], row["clips"]) for row in found["training"]] == [
        ("as published", "float32", 1, 2), ("ours", "float32", 1, 2), ("ours", "float32", 2, 3), ("ours", "bf16", 2, 3),
    ]  # fmt: skip
    for row in found["training"]:
        assert row["clips_per_second"] == pytest.approx(row["clips"] / row["epoch_seconds"])
        assert row["clips_per_second"] > 0
    assert [(row["precision"], row["seconds"], row["clips"]) for row in found["speech"]] == [
        (precision, seconds, clips) for precision in ("float32", "bf16") for seconds in (1, 2) for clips in (1, 2)
    ]
    assert all(row["real_time_factor"] > 0 for row in found["speech"])
    assert "as published  float32" in capsys.readouterr().out


def test_lengths_are_few_and_spread() -> None:
    assert len(gpu.lengths(480, "official")) == 480
    assert len(set(gpu.lengths(480, "official"))) == gpu.LENGTHS
    assert (min(gpu.lengths(480, "official")), max(gpu.lengths(480, "official"))) == (3.0, 5.0)
