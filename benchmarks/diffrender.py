"""How fast the mouth of a head is drawn with its gradient: `python -m benchmarks.diffrender`.

The 88×88 window of synthetic heads of FLAME's and BIWI's size that open their mouths, with gradients to all vertices:
compiled, in PyTorch, and as published, where the whole picture of 224×224 is drawn and cropped (with our kernels; its
own renderer cannot be installed). On a processor milliseconds of CPU time per frame, all threads counted, beside a
target; on a GPU (`--device cuda`) by the clock, and frames per second. All are timed in turns, and the best turn of
each counts, so that other work on the machine disturbs the ratios little. Memory is what a clip takes at its peak.
"""

from __future__ import annotations

import argparse
import ctypes
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from faces.mouth.camera import MouthCamera
from faces.mouth.renderer import MouthRenderer
from pipeline.progress import table
from stages.bench.memory import peaks, reset_peaks
from stages.preprocess.synthetic.motion import CONTROLS
from stages.preprocess.synthetic.subjects import draw_subject

TARGETS_MS = {5023: 8.0, 23370: 15.0}
"""Vertices → forward and backward of a frame on one core of a processor."""
Draw = Callable[[Tensor], Tensor]
Seconds = dict[str, tuple[float, float]]


def clip(vertices: int, frames: int, device: str) -> Tensor:
    """(T, V, 3) float32: one subject, whose jaw opens by 11 degrees."""
    controls = np.zeros((frames, len(CONTROLS)))
    controls[:, CONTROLS.index("jaw")] = np.linspace(0, 11, frames)
    return torch.from_numpy(draw_subject(0, 0, vertices).pose(controls)).to(device)


def contestants(vertices: int, chunk: int) -> dict[str, Draw]:
    """Name → what makes a video of a clip."""
    subject = draw_subject(0, 0, vertices)
    camera = MouthCamera.fit(subject.template, subject.head.regions["lips"])
    whole = MouthRenderer(
        subject.head.faces, replace(camera, rows=(0, camera.picture), columns=(0, camera.picture)), chunk=chunk
    )
    rows, columns = slice(*camera.rows), slice(*camera.columns)
    return {
        "ours": MouthRenderer(subject.head.faces, camera, chunk=chunk),
        "ours, torch": MouthRenderer(subject.head.faces, camera, chunk=chunk, backend="torch"),
        "whole, cropped": lambda moved: whole(moved)[:, :, rows, columns],
    }


def timed(draw: Draw, frames: Tensor) -> tuple[float, float]:
    """Seconds per frame: of the video, and of the video and its gradient."""
    leaf, clock = frames.clone().requires_grad_(), _clock(frames.device)
    start = clock()
    video = draw(leaf)
    middle = clock()
    video.square().sum().backward()
    return (middle - start) / len(frames), (clock() - start) / len(frames)


def _clock(device: torch.device) -> Callable[[], float]:
    if device.type == "cpu":
        return time.process_time

    def now() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return now


def best_of_turns(draws: dict[str, Draw], frames: Tensor, turns: int) -> Seconds:
    """Of each contestant, the least of each number."""
    best = dict.fromkeys(draws, (float("inf"), float("inf")))
    for draw in draws.values():
        timed(draw, frames[:2])  # compiles
    for _ in range(turns):
        for name, draw in draws.items():
            forward, both = timed(draw, frames)
            best[name] = min(best[name][0], forward), min(best[name][1], both)
    return best


def memory(draw: Draw, frames: Tensor) -> float:
    """MB that a clip takes at its peak, with its gradient, more than is held before."""
    leaf, device = frames.clone().requires_grad_(), str(frames.device)
    timed(draw, frames[:2])  # compiles
    with suppress(OSError, AttributeError):  # what is free goes back to the system, so that it counts when taken again
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    kind = "peak_memory_mb" if frames.device.type == "cpu" else "gpu_peak_memory_mb"
    reset_peaks(device)
    before = peaks(device)[kind]
    draw(leaf).square().sum().backward()
    return peaks(device)[kind] - before


def measure(vertices: int, options: argparse.Namespace) -> None:
    """Print one head's table and verdict."""
    frames, draws = clip(vertices, options.frames, options.device), contestants(vertices, options.chunk)
    held = {name: memory(draw, frames) for name, draw in draws.items()}
    best = best_of_turns(draws, frames, options.turns)
    rows = [
        (name, f"{1e3 * forward:.2f}", f"{1e3 * both:.2f}", f"{both / best['ours'][1]:.1f}", f"{1 / both:,.0f}",
         f"{held[name]:.0f}")
        for name, (forward, both) in best.items()
    ]  # fmt: skip
    print(f"\n{vertices:,} vertices, clips of {options.frames} frames, {options.device}")
    print(table(rows, ("", "forward ms", "and backward ms", "times ours", "frames/s", "clip MB")))
    if options.device == "cpu":
        print(verdict(1e3 * best["ours"][1], TARGETS_MS[vertices]))


def verdict(milliseconds: float, target: float) -> str:
    return f"target {target:g} ms: {'ok' if milliseconds <= target else 'missed'}"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1")
    parser.add_argument("--vertices", type=int, nargs="+", choices=TARGETS_MS, default=list(TARGETS_MS))
    parser.add_argument("--frames", type=int, default=64, help="of the clip")
    parser.add_argument("--chunk", type=int, default=8, help="frames that PyTorch draws at once")
    parser.add_argument("--turns", type=int, default=5, help="how often each is timed")
    parser.add_argument("--threads", type=int, default=1, help="of the processor")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for vertices in options.vertices:
        measure(vertices, options)


if __name__ == "__main__":
    main()
