"""How long `pipe data check` takes: `python -m benchmarks.data_check --sequences 500 --frames 150`.

Writes a folder of the synthetic head, FLAME's size, a sequence and its sound for each name (real pages, no two alike),
runs the command in a process of its own as often as `--runs` says, and prints the time of each run, what of it is
processor time, and the peak memory. Of more data than the page cache holds, the disk is the limit. All is
deleted again.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from faces.ply import write_ply
from stages.preprocess.own.writing import Draft, to_toml
from stages.preprocess.sound import Clip, write_wav
from stages.preprocess.synthetic.head import neutral_head

FPS, RATE = 30, 16000
VERTICES = 5023
SUBJECTS = 10
LIMIT_S = 30.0
CHILD = """
import sys
from pathlib import Path
from pipeline.__main__ import main
try:
    main(sys.argv[1:])
finally:
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss begins with what the parent held when it forked
        print("peak MB", int(status.read_text().split("VmHWM:")[1].split()[0]) // 1024)
"""


def write(folder: Path, sequences: int, frames: int) -> float:
    """Gives the size of the motion in GB."""
    head = neutral_head(VERTICES)
    points = head.points.astype(np.float32)
    lips = np.zeros((VERTICES, 3), np.float32)
    lips[head.regions["lip_lower"]] = lips[head.regions["lips"]] = (0, -0.004, 0)
    opening = np.sin(np.arange(frames, dtype=np.float32) * 0.7)[:, None, None] ** 2
    motion = points + opening * lips
    rng = np.random.default_rng(0)
    names = [(f"subject{k % SUBJECTS}", f"s{k // SUBJECTS + 1:03d}") for k in range(sequences)]
    for name in ("motion", "wav"):
        (folder / name).mkdir(parents=True)
    for subject, sentence in names:
        motion[:, 0, 0] = points[0, 0] + 1e-5 * rng.random(frames)  # no two alike
        np.save(folder / "motion" / f"{subject}_{sentence}.npy", motion)
        samples = rng.integers(-9000, 9000, RATE * frames // FPS, dtype=np.int16)
        write_wav(folder / "wav" / f"{subject}_{sentence}.wav", Clip(samples, RATE))
    write_ply(folder / "topology.ply", points, head.faces)
    files = {"form": "npy", "motion": "motion", "sound": "wav", "pattern": "{subject}_{sentence}"}
    splits = {"train": (sorted({s for s, _ in names}), "all"), "val": ((), "all")}
    draft = Draft("bench", FPS, "m", "y", "z", files | {"topology": "topology.ply"}, splits)
    (folder / "dataset.toml").write_text(to_toml(draft), encoding="utf-8")
    return sequences * motion.nbytes / 1e9


def measure(folder: Path, jobs: int) -> tuple[float, float, str]:
    """Seconds of the wall clock, of the processors, and what the command printed last."""
    words = [sys.executable, "-c", CHILD, "data", "check", str(folder), "--jobs", str(jobs)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, used, "; ".join(done.stdout.splitlines()[-2:])


def main() -> int:
    """Exit status 1 where the best run takes longer than the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=500)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="where to write; default: the system's folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        needed = options.sequences * options.frames * VERTICES * 12 * 1.05 / 1e9
        if shutil.disk_usage(name).free / 1e9 < needed:
            print(f"{needed:.1f} GB are needed in {name}; give a smaller --sequences or another --folder")
            return 2
        size = write(Path(name) / "data", options.sequences, options.frames)
        print(f"{options.sequences} sequences, {size:.2f} GB of vertices, {options.jobs} at a time")
        best = np.inf
        for _ in range(options.runs):
            wall, used, told = measure(Path(name) / "data", options.jobs)
            best = min(best, wall)
            print(f"{wall:5.1f} s, {used:5.1f} s of processor time, {size / wall:.2f} GB/s; {told}")
    print(f"below {LIMIT_S:.0f} s: {'yes' if best < LIMIT_S else 'NO'}")
    return 0 if best < LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
