"""`python -m benchmarks.long_clip`: memory and time of FaceFormer for clips of 1, 5 and 10 minutes.

Random weights; features are drawn, as if the step `features` had made them. Each length runs in a process of its own:
the speech encoder hears all of the clip, the decoder speaks, motion goes into its file block by block. Prints the peak
of resident memory above what the network and the libraries take, processor time, and ratios to the shortest clip.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

from models.faceformer.face import FaceFormer
from models.faceformer.settings import Settings
from models.speech import small_config
from models.talking_face import DataFacts, Speech
from stages.infer.long import block_length, write_motions
from stages.processor import peak_resident

BASE = {**small_config(512, 768, 12, 12), "conv_dim": [512] * 7}
BASE |= {"conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_stride": [5, 2, 2, 2, 2, 2, 2]}
SIZES = {
    "log-mel": (Settings(encoder_layers=2, encoder_width=128), "log-mel", 80, {}),
    "official": (Settings(), "facebook/wav2vec2-base-960h", 512, BASE),
}


def peak_mb() -> float:
    """Peak resident memory of this process."""
    return peak_resident() / 2**20


def build(size: str) -> FaceFormer:
    """VOCASET's topology and rate; official: the speech encoder of wav2vec 2.0 base."""
    settings, encoder, channels, config = SIZES[size]
    facts = DataFacts(5023, 30.0, [str(i) for i in range(8)], channels, encoder, config)
    network = FaceFormer.build(settings, facts).eval()
    nn.init.normal_(network.vertice_map_r.weight, std=0.1)
    return network


def one(size: str, minutes: float, window: float) -> dict[str, float]:
    """Speak one clip into a file."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = build(size)
    network.bound_hearing(window)
    length = round(3000 * minutes)
    speech = Speech(torch.randn(length, SIZES[size][2]), torch.zeros(3 * 5023), torch.eye(8)[:1])
    before, began = peak_mb(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        blocks = network.predict_blocks(speech, block_length(1, 3 * 5023))
        shape = (network.frames_for(length), 3 * 5023)
        write_motions([Path(folder) / "motion.npy"], blocks, shape, "the clip")
    return {"mb": peak_mb() - before, "seconds": time.process_time() - began, "frames": shape[0]}


def measured(size: str, minutes: float, window: float) -> dict[str, float]:
    """The same in a fresh process."""
    call = [sys.executable, "-m", "benchmarks.long_clip", "--sizes", size, "--window", str(window)]
    done = subprocess.run([*call, "--only", str(minutes)], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Print a line per size and length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", nargs="+", choices=tuple(SIZES), default=tuple(SIZES))
    parser.add_argument("--minutes", nargs="+", type=float, default=[1, 5, 10])
    parser.add_argument("--window", type=float, default=0.0, help="seconds that the encoder hears at once; 0: all")
    parser.add_argument("--only", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(one(options.sizes[0], options.only, options.window)))
        return
    for size in options.sizes:
        shortest: dict[str, float] = {}
        for minutes in options.minutes:
            found = measured(size, minutes, options.window)
            shortest = shortest or found
            motion = found["frames"] * 3 * 5023 * 4 / 2**20
            print(
                f"{size}, {minutes:g} min, {found['frames']:.0f} frames, {motion:.0f} MB of motion: peak "
                f"{found['mb']:.0f} MB ({found['mb'] / shortest['mb']:.2f}), {found['seconds']:.1f} s of processor "
                f"time ({found['seconds'] / shortest['seconds']:.1f}), "
                f"{minutes * 60 / found['seconds']:.1f} times real time",
                flush=True,
            )


if __name__ == "__main__":
    main()
