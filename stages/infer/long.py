"""Clips too long to hold their motion: it goes into its file block by block.

Ten minutes at 30 frames a second are 1.1 GB of VOCASET's vertices and 4.2 GB of BIWI's. What `np.save` would write is
written here too, to the byte.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import StageError
from pipeline.stage import Job, replacing

LONG = 128 * 2**20
"""Bytes of one motion from which on it is never held whole: 70 s of VOCASET, 19 s of BIWI."""
HELD = 32 * 2**20
"""Bytes of motion that are formed at once, of all styles together."""
SECONDS = 60.0
"""From which on a network that looks back on all frames is said to be slow."""


def is_long(network: Any, features: int, width: int) -> bool:
    """Whether the motion of L features, D coordinates a frame, is to be written in blocks."""
    return hasattr(network, "predict_blocks") and 4 * width * network.frames_for(features) > LONG


def block_length(styles: int, width: int) -> int:
    """Frames of a block."""
    return max(1, HELD // (4 * styles * width))


def write_motions(files: Sequence[Path], blocks: Iterable[Tensor], shape: tuple[int, int], name: str) -> None:
    """Blocks (S, n, D) into S files of (T, D) float32. StageError for motion that is not finite; it leaves no file."""
    with ExitStack() as stack:
        streams = [stack.enter_context(stack.enter_context(replacing(file)).open("wb")) for file in files]
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": shape}
        for stream in streams:
            np.lib.format.write_array_header_1_0(stream, header)
        for block in blocks:
            motions = block.float().cpu().numpy()
            check_finite(name, motions)
            for stream, motion in zip(streams, motions, strict=True):
                stream.write(np.ascontiguousarray(motion).data)


def check_finite(name: str, motions: Any) -> None:
    """StageError where motion of a sentence is no number."""
    if not all(np.isfinite(motion).all() for motion in motions):
        raise StageError(f"the network's motion for {name} is not finite: train it again, with a lower lr")


def check_room(job: Job, network: Any, name: str, features: int, rows: int) -> None:
    """A network that looks back on all frames: say what a long clip costs. StageError where memory cannot hold it."""
    estimate = getattr(network, "exact_bytes", None)
    if estimate is None or not (needed := estimate(frames := network.frames_for(features), rows)):
        return
    there = memory_of(job.device)
    remedy = "set context (in frames, such as two seconds of them) in the infer step"
    if needed > there:
        raise StageError(
            f"{name} has {frames:,} frames, and looking back on all of them takes about {needed / 2**30:,.1f} GiB "
            f"where there are {there / 2**30:,.1f}: {remedy}"
        )
    if frames > SECONDS * network.fps:
        job.say(f"{name} has {frames:,} frames, and each looks back on all before it, which takes long: {remedy}")


def memory_of(device: str) -> int:
    """Bytes of memory that a device has in all."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[1])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
