"""`python -m benchmarks.first_frame`: what a fresh process spends from its start to the motion of a three-second clip.

A FaceFormer of VOCASET's official size with random weights is written to a temporary folder; a process of its own loads
and runs it. Prints process time (user and system, all threads) per part, in seconds, and the modules that should not be
there. `--family wavlm` shows what a speech encoder from `transformers` costs instead.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

UNWANTED = ("transformers", "h5py", "matplotlib", "torch._dynamo", "sympy", "numba", "scipy")


class Clock:
    """Process time since the last mark, by name."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self._last = 0.0

    def mark(self, name: str) -> None:
        now = time.process_time()
        self.parts[name], self._last = now - self._last, now


def write(folder: Path, family: str) -> None:
    """An official size's checkpoint."""
    import torch

    from models.faceformer.face import FaceFormer
    from models.faceformer.settings import Settings
    from models.talking_face import DataFacts
    from stages.kinds.checkpoint import BEST, Config, write_config, write_weights

    settings = Settings(feature_dim=64, period=30)
    names, config = [str(i) for i in range(8)], {"model_type": family}
    facts = DataFacts(5023, 30.0, names, channels=512, encoder=f"some/{family}", encoder_config=config)
    network = FaceFormer.build(settings, facts)
    torch.nn.init.normal_(network.vertice_map_r.weight, std=0.1)
    write_weights(folder / BEST, network.state_dict())
    write_config(folder, Config("faceformer", asdict(settings), asdict(facts), "vocaset", "m"))


def run(folder: Path, threads: int) -> dict[str, Any]:
    """What each part costs in this process."""
    clock = Clock()
    clock.mark("python")
    import torch

    torch.set_num_threads(threads)
    clock.mark("import torch")
    importlib.import_module("models.faceformer.face")
    from stages.kinds.checkpoint import Checkpoint

    clock.mark("import ours")
    network: Any = Checkpoint(folder).load_network()
    clock.mark("build and load")
    sound, template, style = torch.randn(1, 3 * 16_000), torch.zeros(3 * 5023), torch.eye(8)[:1]
    features = network.audio_encoder.convolve(sound)
    clock.mark("convolutions")
    motion = network.predict(features[0], template, style)
    clock.mark("transformer and decoder")
    loaded = [name for name in UNWANTED if name in sys.modules]
    return {"parts": clock.parts, "frames": motion.shape[1], "loaded": loaded}


def main() -> None:
    """Print a line per part."""
    options = _options().parse_args()
    if options.folder:
        print(json.dumps(run(options.folder, options.threads)))
        return
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), options.family)
        command = [sys.executable, "-m", "benchmarks.first_frame", "--folder", folder, "--threads"]
        runs = [_child([*command, str(options.threads)]) for _ in range(options.repeats)]
    best = min(runs, key=lambda found: sum(found["parts"].values()))
    parts = best["parts"]
    for name, spent in parts.items():
        print(f"{name:23s} {spent:6.3f} s")
    print(f"{'all':23s} {sum(parts.values()):6.3f} s, {best['frames']} frames, {options.threads} threads")
    print(f"modules that need not be there: {', '.join(best['loaded']) or 'none'}")


def _child(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--family", default="wav2vec2", help="of the speech encoder: wav2vec2, hubert or wavlm")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3, help="processes, of which the best counts")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
