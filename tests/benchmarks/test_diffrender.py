"""The benchmark of the mouth's renderer runs, small, and says of each contestant what it should."""

from __future__ import annotations

import sys

import pytest
import torch

from benchmarks import diffrender


def test_a_table_and_a_verdict_are_printed(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    threads = torch.get_num_threads()
    words = ["--vertices", "5023", "--frames", "3", "--turns", "1"]
    monkeypatch.setattr(sys, "argv", ["diffrender", *words])
    diffrender.main()
    torch.set_num_threads(threads)
    printed = capsys.readouterr().out
    for name in ("ours", "ours, torch", "whole, cropped", "target 8 ms: "):
        assert name in printed


def test_all_contestants_make_one_video() -> None:
    frames = diffrender.clip(5023, 2, "cpu")
    videos = [draw(frames) for draw in diffrender.contestants(5023, 8).values()]
    for video in videos[1:]:
        assert (video - videos[0]).abs().max() < 1e-5


def test_the_verdict_is_the_target_s() -> None:
    assert diffrender.verdict(7.9, 8.0) == "target 8 ms: ok"
    assert diffrender.verdict(8.1, 8.0) == "target 8 ms: missed"
