"""The benchmark of drawing a motion runs, and both of its forms draw the same one."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext

import pytest

from benchmarks import facetalk
from tests.pretended_gpu import pretended_gpu


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_both_forms_draw_one_motion(device, tmp_path, monkeypatch, capsys):
    file = tmp_path / "found.json"
    words = [
        "--size",
        "small",
        "--seconds",
        "1",
        "--steps",
        "3",
        "--plain-steps",
        "2",
        "--device",
        device,
        "--cases",
        *facetalk.CASES,
    ]
    monkeypatch.setattr(sys, "argv", ["facetalk", *words, "--json", str(file)])
    with pretended_gpu() if device == "cuda" else nullcontext():
        facetalk.main()
    told, found = capsys.readouterr().out, json.loads(file.read_text())
    assert told.startswith("a clip of 1 s (24 frames), DDIM of 3 steps, guidance 2, small size, 1 threads")
    assert [row["case"] for row in found] == list(facetalk.CASES)
    assert [row["numbers"] for row in found] == [200, 3 * 5023, 64]
    assert all(row["apart"] < 1e-3 for row in found)
    assert all(min(row["all"], row["drawing"], row["plain_step"], row["times"]) > 0 for row in found)
