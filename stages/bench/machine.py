"""What the figures were measured on, without which they mean nothing."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from stages.bench import Wish


def machine(wish: Wish) -> dict[str, Any]:
    """Facts of the machine and of what was asked for."""
    facts: dict[str, Any] = {
        "processor": processor(),
        "processors": os.cpu_count(),
        "torch": torch.__version__,
        "load": round(os.getloadavg()[0], 1),
    }
    if torch.device(wish.device).type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name(wish.device)
    return facts | asdict(wish)


def processor() -> str:
    """The processor's own name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
