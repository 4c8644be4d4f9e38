"""The most memory that was held since a moment: of the process, and on its GPU."""

from __future__ import annotations

import gc
import resource
import sys
from contextlib import suppress
from pathlib import Path

import torch


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
    found = {"peak_memory_mb": round(_resident() / 1e6, 1)}
    if torch.device(device).type == "cuda":
        found["gpu_peak_memory_mb"] = round(torch.cuda.max_memory_allocated(device) / 1e6, 1)
    return found


def _resident() -> int:
    try:
        text = Path("/proc/self/status").read_text()
        return 1024 * int(text.partition("VmHWM:")[2].split(maxsplit=1)[0])
    except (OSError, ValueError, IndexError):
        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
