from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest
import torch

from stages.processor import keep_freed_memory, peak_resident, set_up


def test_threads_and_float32() -> None:
    threads = torch.get_num_threads()
    torch.backends.cudnn.allow_tf32 = True
    try:
        set_up(0)
        assert torch.get_num_threads() == 1
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
        set_up(2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


FAULTS = """
import platform, resource, sys
import numpy as np
from stages.processor import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(16_000_000)  # 128 MB, given back at once
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_freed_memory_is_used_again() -> None:
    """Pages that the system must clear for an array as large as one that was just freed."""

    def faults(how: str) -> int:
        env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        return int(subprocess.run([sys.executable, "-c", FAULTS, how], env=env, capture_output=True, check=True).stdout)

    assert faults("keep") < 0.1 * faults("plain")


def test_elsewhere_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()


def test_the_peak_is_at_least_what_was_held_and_does_not_fall() -> None:
    """The kernel counts per thread and adds up now and then: to a few MB."""
    held = torch.ones(60_000_000)
    size = held.numel() * held.element_size()
    while_held = peak_resident()
    assert while_held >= size
    del held
    assert peak_resident() >= while_held - size // 20
