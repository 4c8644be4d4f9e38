"""How networks run, whatever the stage: on how many threads, and in which arithmetic."""

from __future__ import annotations

import ctypes
import platform
import resource
import sys
from pathlib import Path

import torch

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""glibc's names of two of its settings, see `man mallopt`."""
LARGEST = (2**31 - 1, 2**25)
"""Bytes; the second is the most that older versions of glibc take for MMAP_THRESHOLD."""


def set_up(workers: int) -> None:
    """Threads for this process, and float32 that is float32.

    TensorFloat-32, which torch allows to convolutions, keeps ten bits of a number: enough to choose another code of a
    prior, after which all motion differs, and what is cached once is read for ever.
    """
    torch.set_num_threads(max(1, workers))
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def keep_freed_memory() -> bool:
    """Let this process keep the memory of large arrays that it frees, as every step asks for the same again.

    glibc hands each array of more than some megabytes back to the system, which clears its pages anew the next time.
    Whether it was told; elsewhere than under glibc nothing is done.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(TRIM_THRESHOLD, LARGEST[0])) and any(mallopt(MMAP_THRESHOLD, size) for size in LARGEST)


def peak_resident() -> int:
    """Bytes of main memory that this process held at the worst.

    Where the kernel tells its own figure it is taken: the other one begins with what the parent held when it forked.
    """
    try:
        text = Path("/proc/self/status").read_text(encoding="utf-8")
        return 1024 * int(text.partition("VmHWM:")[2].split(maxsplit=1)[0])
    except (OSError, ValueError, IndexError):
        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
