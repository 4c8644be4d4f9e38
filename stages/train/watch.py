"""What one looks at while a network trains: a line for the terminal, numbers for other programs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from stages.processor import peak_resident
from stages.train.health import HEALTH
from stages.train.state import Progress

PARTS = ("train", "val", HEALTH)
"""What an epoch's record has numbers of."""


def live_line(progress: Progress, epochs: int, device: str) -> str:
    """ "epoch 3/50 · loss 0.012 (motion 0.01, velocity 0.002) · val 0.011 (best) · …", the most telling first.

    Losses are means over the epoch's clips so far. Rate and time left stand in the line above, the step's own.
    """
    epoch = f"epoch {min(progress.epoch + 1, epochs)}/{epochs}"
    return " · ".join(filter(None, (epoch, _losses(progress), *_validated(progress), _gpu(device))))


def _losses(progress: Progress) -> str:
    if progress.clips:
        means = {name: total / progress.clips for name, total in progress.sums.items()}
    else:
        means = dict(progress.history[-1]["train"]) if progress.history else {}
    if "loss" not in means:
        return ""
    parts = ", ".join(f"{name} {value:.3g}" for name, value in means.items() if name != "loss")
    return f"loss {means['loss']:.4g}" + (f" ({parts})" if parts else "")


def _validated(progress: Progress) -> Iterator[str]:
    """Of the last epoch that was validated."""
    record = next((record for record in reversed(progress.history) if "val" in record), None)
    if record is None:
        return
    best = f"best: {progress.best_loss:.4g}, epoch {progress.best_epoch}"
    best = "best" if progress.best_epoch == record["epoch"] else best
    yield f"val {record['val']['loss']:.4g} ({best})"
    health = record["val"] | record.get(HEALTH, {})
    for name, form in (
        ("letter_errors", "letters {:.0%} wrong"),
        ("lve", "LVE {:.3g}"),
        ("lip_correlation", "lips r {:.2f}"),
        ("motion_energy", "motion {:.0%}"),
    ):
        if (value := health.get(name)) is not None:
            yield form.format(value)


def _gpu(device: str) -> str:
    peak = memory(device).get("gpu_peak_mb")
    return f"GPU {peak / 1024:.1f} GB" if peak else ""


def memory(device: str) -> dict[str, float]:
    """Peaks so far in MB (of 2^20 bytes): of this process, and of its tensors on the GPU."""
    found = {"peak_mb": peak_resident() / 2**20}
    if torch.device(device).type == "cuda":
        found["gpu_peak_mb"] = torch.cuda.max_memory_allocated() / 2**20
    return found


def scalars(record: Mapping[str, Any]) -> dict[str, float]:
    """An epoch's record as "train/loss", "val/loss", "health/lve", "lr" → number; what is undefined is left out."""
    found = {f"{part}/{name}": value for part in PARTS for name, value in record.get(part, {}).items()}
    found |= {name: record[name] for name in ("lr", "epoch") if name in record}
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}
