"""What `pipe bench` does: a process for each network and precision, one after the other, then the table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from pipeline.errors import StageError
from stages.bench import Task, Wish
from stages.bench.machine import machine
from stages.bench.report import tables


def bench(models: Sequence[str], wishes: Mapping[str, Any], *, as_json: bool) -> bool:
    """Measure and print. wishes: the fields of `Wish`. Whether every network could be measured. StageError where torch
    sees no such device."""
    wish = Wish(**{**wishes, "device": found_device(wishes["device"])})
    kind = _kind(wish.device)
    report: dict[str, Any] = machine(wish) | {"models": []}
    try:
        for model in models:
            for precision in ("float32",) if kind == "cpu" else ("float32", "bf16"):
                print(f"measuring {model} on {wish.device}, {precision}", file=sys.stderr, flush=True)
                report["models"].append(result := _blank(model, precision))
                measure(Task(model, precision, wish), result)
    finally:  # Ctrl-C too: what has been measured is shown
        if report["models"]:
            print(json.dumps(report, indent=1) if as_json else tables(report), flush=True)
    return not any(result["error"] for result in report["models"])


def _kind(device: str) -> str:
    """ "cpu", "cuda" or "mps"."""
    kind, _, index = device.partition(":")
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[kind]
    if int(index or 0) >= count:
        raise StageError(f"--device {device}: torch sees no such device on this machine; use auto or cpu")
    return kind


def found_device(word: str) -> str:
    """What `auto` is on this machine."""
    if word != "auto":
        return word
    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


def _blank(model: str, precision: str) -> dict[str, Any]:
    return {
        "model": model,
        "precision": precision,
        "parameters": None,
        "trained_parameters": None,
        "inference": [],
        "training": [],
        "left_out": [],
        "error": None,
    }


def measure(task: Task, result: dict[str, Any]) -> None:
    """Fill `result` with what the task's process tells, line by line, and with what ended it early."""
    command = [sys.executable, "-P", "-m", "stages.bench.worker"]
    pipe = subprocess.PIPE
    with (
        tempfile.TemporaryDirectory(prefix="pipe-bench-", ignore_cleanup_errors=True) as scratch,
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=said, text=True, env=_environment(scratch)
        ) as process,
    ):
        try:
            process.stdin.write(task.to_json())  # type: ignore[union-attr]
            process.stdin.close()  # type: ignore[union-attr]
            for line in process.stdout:  # type: ignore[union-attr]
                _take(json.loads(line), result)
            if process.wait():
                result["error"] = _reason(process.returncode, said)
        finally:
            process.terminate()


def _environment(scratch: str) -> dict[str, str]:
    """The process is this very program, wherever it is called from; what it writes goes, however it ends."""
    path = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path), "TMPDIR": scratch}


def _take(line: dict[str, Any], result: dict[str, Any]) -> None:
    for name, value in line.items():
        if isinstance(result[name], list):
            result[name].append(value)
        else:
            result[name] = value


def _reason(code: int, said: Any) -> str:
    """One sentence: the last that the process said, or the signal that ended it."""
    if code < 0:
        which = "killed, for lack of memory most likely" if code == -9 else f"ended by signal {-code}"
        return f"its process was {which}"
    said.seek(0)
    lines = [line.strip() for line in said if line.strip()]
    return lines[-1] if lines else f"its process ended with {code}"
