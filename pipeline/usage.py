"""What a step takes while it runs: seconds, processor seconds, and the most memory it held, of this process."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


class Usage:
    """Counts from its making on. Memory is the process's high-water mark, set back first where the kernel lets us."""

    def __init__(self) -> None:
        self.started = time.time()
        self._clock = time.monotonic()
        self._processor = _processor_seconds()
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM back to what is held now
        for device in _cuda_devices():
            sys.modules["torch"].cuda.reset_peak_memory_stats(device)

    def facts(self) -> Mapping[str, float]:
        """Seconds, processor seconds and peaks in MB; the GPU's only where torch used one."""
        found = {
            "seconds": round(time.monotonic() - self._clock, 3),
            "cpu_seconds": round(_processor_seconds() - self._processor, 3),
            "peak_memory_mb": _peak_memory() // 1_000_000,
        }
        peaks = [sys.modules["torch"].cuda.max_memory_allocated(device) for device in _cuda_devices()]
        return found | ({"gpu_peak_memory_mb": max(peaks) // 1_000_000} if any(peaks) else {})


def _processor_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _peak_memory() -> int:
    try:
        text = Path("/proc/self/status").read_text()
        return 1024 * int(text.partition("VmHWM:")[2].split(maxsplit=1)[0])
    except (OSError, ValueError, IndexError):
        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _cuda_devices() -> range:
    """The devices of a torch that uses them already; asking another would wake it for nothing."""
    torch = sys.modules.get("torch")
    return range(torch.cuda.device_count() if torch is not None and torch.cuda.is_initialized() else 0)
