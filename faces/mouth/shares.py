"""Frames of a clip shared out over threads, for compiled loops that hold no lock."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch


def in_shares(frames: int, work: Callable[[range], None]) -> None:
    """Call `work` with ranges that make up all frames, in as many threads as PyTorch has."""
    shares = min(torch.get_num_threads(), frames)
    if shares < 2:
        work(range(frames))
        return
    with ThreadPoolExecutor(shares) as pool:
        list(pool.map(work, [range(first, frames, shares) for first in range(shares)]))
