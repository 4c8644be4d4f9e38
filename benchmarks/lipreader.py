"""`python -m benchmarks.lipreader`: what the lip reader costs as a critic, and reading with it.

Random weights of the published sizes, drawn pictures and sound, one thread, a process for each row. A critic is frozen
and its sound was heard before, or it is trained with Adam and hears anew. Printed: processor time of the second of two
steps, loss and gradient apart, and the peak of resident memory, of which the weights take 1.8 GB. Reading: the beam
search on drawn features, which never end a text early, so that it goes through every frame.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import replace

import torch

from models.lipreader.inputs import SAMPLES_PER_FRAME
from models.lipreader.net import LipReader
from models.lipreader.reading import read
from models.lipreader.sizes import Sizes
from models.sight import PICTURES_PER_SECOND
from stages.processor import peak_resident

SIZES = {
    "official": Sizes(),
    "small": replace(Sizes(), classes=40, front_width=4, width=16, layers=1, heads=2, feedforward=16, fusion_width=16),
}
KINDS = ("frozen", "checkpointed", "trained", "reading")
CHECKPOINT = 16
"""Frames at a time of the checkpointed one."""
LETTERS = 20


def one(kind: str, size: str, seconds: float) -> dict[str, float]:
    """Seconds of processor time, and megabytes."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    settings, frames = SIZES[size], round(PICTURES_PER_SECOND * seconds)
    made = LipReader(settings)
    if kind == "reading":
        features, began = torch.randn(frames, settings.width), time.process_time()
        read(made.freeze(), features)
        return {"forward": time.process_time() - began, "backward": 0.0, "mb": peak_resident() / 2**20}
    optimiser = torch.optim.Adam(made.parameters(), lr=1e-4) if kind == "trained" else None
    if optimiser is None:
        made.freeze()
    made.checkpoint_frames = CHECKPOINT if kind == "checkpointed" else 0
    pictures = torch.randn(1, frames, 1, 88, 88, requires_grad=True)
    sound = torch.randn(1, SAMPLES_PER_FRAME * frames)
    text = torch.randint(1, settings.end, (LETTERS,)).tolist()
    if optimiser is None:
        with torch.no_grad():
            sound = made.hear(sound)
    times: dict[str, float] = {}
    for _ in range(2):
        began = time.process_time()
        loss = made.reading_losses(pictures, sound, [text])["loss"]
        between = time.process_time()
        torch.autograd.backward(loss)
        if optimiser is not None:
            optimiser.step()
            optimiser.zero_grad()
        times = {"forward": between - began, "backward": time.process_time() - between}
    return {**times, "mb": peak_resident() / 2**20}


def measured(kind: str, size: str, seconds: float) -> dict[str, float]:
    """The same in a fresh process."""
    call = [sys.executable, "-m", "benchmarks.lipreader", "--size", size, "--seconds", str(seconds), "--only", kind]
    found: dict[str, float] = json.loads(subprocess.run(call, capture_output=True, text=True, check=True).stdout)
    return found


def main() -> None:
    """Print a line for each way of using it and each length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", choices=tuple(SIZES), default="official")
    parser.add_argument("--seconds", nargs="+", type=float, default=[2, 4])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--only", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(one(options.only, options.size, options.seconds[0])))
        return
    for kind in options.kinds:
        for seconds in options.seconds:
            found = measured(kind, options.size, seconds)
            print(
                f"{kind}, {seconds:g} s: {found['forward']:.2f} s forward, {found['backward']:.2f} s backward, peak "
                f"{found['mb'] / 1024:.2f} GB",
                flush=True,
            )


if __name__ == "__main__":
    main()
