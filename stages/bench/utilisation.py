"""The share of time in which a GPU computes, as `nvidia-smi` samples it; nothing where there is no such program."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from types import TracebackType

import torch

INTERVAL_MS = 100


class Utilisation:
    """Samples while the block lasts."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115, closed with the block
        self._process: subprocess.Popen[str] | None = None
        self._samples: list[tuple[float, float]] = []

    def mean(self, since: float = 0.0) -> float | None:
        """Of 1, from a moment of `time.perf_counter` on; None where nothing was sampled."""
        values = [value for when, value in self._samples if when >= since]
        return sum(values) / len(values) / 100 if values else None

    def __enter__(self) -> Utilisation:
        program = shutil.which("nvidia-smi")
        if self.device.type == "cuda" and program:
            query = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", f"--loop-ms={INTERVAL_MS}"]
            self._began = time.perf_counter()
            self._process = subprocess.Popen(
                [program, f"--id={self._id()}", *query], stdout=self._output, stderr=subprocess.DEVNULL, text=True
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._read(time.perf_counter())
        self._output.close()

    def _read(self, ended: float) -> None:
        """Samples carry no time: they are spread evenly over the block."""
        self._output.seek(0)
        values = []
        for line in self._output:
            with contextlib.suppress(ValueError):
                values.append(float(line))
        pace = (ended - self._began) / max(1, len(values))
        self._samples = [(self._began + (i + 1) * pace, value) for i, value in enumerate(values)]

    def _id(self) -> str:
        """As the program counts: it knows nothing of CUDA_VISIBLE_DEVICES."""
        index = self.device.index or 0
        uuid = getattr(torch.cuda.get_device_properties(index), "uuid", None)
        if uuid is not None:
            return f"GPU-{uuid}"
        words = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        return words[index].strip() if index < len(words) and words[index].strip() else str(index)
