"""`python -m benchmarks.long_sound`: the convolutions of a long sound, whole and in blocks, in memory and time.

Base size, random weights, noise for sound: neither changes what is counted. Every line is a process of its own, since
peak memory is a process's; what torch and the weights need before the convolutions begin is taken off. Time is that of
all threads together. `--minutes` is done in blocks only, `--both` either way; there the results must agree.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any

from models.wav2vec2.config import Config

TOLERANCE = 1e-5


def measure(way: str, seconds: float, threads: int) -> dict[str, float]:
    """Memory above the start in MB, process time in s; "apart" of both ways, relative to the largest feature."""
    import torch

    from models.wav2vec2.convolutions import Convolutions
    from models.wav2vec2.long_sound import convolve
    from stages.processor import peak_resident

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network, audio = Convolutions(Config()), torch.randn(1, round(16_000 * seconds))
    with torch.no_grad():
        network(audio[:, :16_000])
        before, start = peak_resident() / 1e6, time.process_time()
        features = network(audio) if way == "whole" else convolve(network, audio, long=0)
        found = {"memory": peak_resident() / 1e6 - before, "time": time.process_time() - start}
        if way == "both":
            found["apart"] = float((network(audio) - features).abs().max() / features.abs().max())
    return found


def in_a_process(way: str, seconds: float, threads: int) -> dict[str, Any]:
    """The same, in a fresh one."""
    command = [sys.executable, "-m", "benchmarks.long_sound", "--way", way, "--seconds", str(seconds)]
    done = subprocess.run([*command, "--threads", str(threads)], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Print a line per way and length."""
    options = _options().parse_args()
    if options.way:
        print(json.dumps(measure(options.way, options.seconds, options.threads)))
        return
    lengths = {"whole": [options.both], "blocks": [options.both, 60 * options.minutes]}
    for way, wanted in lengths.items():
        for seconds in wanted:
            found = in_a_process(way, seconds, options.threads)
            print(f"{way}, {seconds:g} s of sound: {found['memory']:.0f} MB, {found['time']:.1f} s of process time")
    apart = in_a_process("both", options.both, options.threads)["apart"]
    assert apart < TOLERANCE, f"whole and blocks differ by {apart:.2g} of the largest feature"
    print(f"largest difference at {options.both:g} s: {apart:.1e} of the largest feature")


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=10.0, help="of sound, in blocks only")
    parser.add_argument("--both", type=float, default=60.0, help="seconds of sound, whole and in blocks")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--way", choices=("whole", "blocks", "both"), help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
