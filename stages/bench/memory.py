"""The most memory that was held since a moment: of the process, and on its GPU."""

from __future__ import annotations

import gc
from contextlib import suppress
from pathlib import Path

import torch

from stages.processor import peak_resident


def reset_peaks(device: str) -> None:
    """Count from what is held now, where the system lets us; elsewhere from the process's beginning."""
    gc.collect()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    if torch.device(device).type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peaks(device: str) -> dict[str, float]:
    """MB: resident, and allocated on the GPU where there is one."""
    found = {"peak_memory_mb": round(peak_resident() / 1e6, 1)}
    if torch.device(device).type == "cuda":
        found["gpu_peak_memory_mb"] = round(torch.cuda.max_memory_allocated(device) / 1e6, 1)
    return found
