"""Memory and speed of preprocess on raw files of several gigabytes: `python -m benchmarks.preprocess --gb 3`.

Writes data_verts.npy of that size (and of half of it) in VOCASET's layout, real pages of non-zero bytes, runs the stage
on each in a process of its own, and prints its peak resident memory, mapped pages included, and its rate. The peak must
stay below 1 GB and grow by no more than the sound, which is held in memory, does. Everything written is deleted again.
"""

from __future__ import annotations

import argparse
import json
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from faces.ply import write_ply

VERTICES = 5023
FRAME_BYTES = VERTICES * 3 * 4
FRAMES = 240
"""Frames of a sequence: four seconds at 60 per second."""
RATE = 22000
LIMIT_MB = 1000
MOST_GROWTH = 0.05
"""Of the file. The sound is 1.2 % of the vertices in size and is held up to three times while its pickle is read."""
CHILD = """
import json, resource, sys, time
from pathlib import Path
from stages.preprocess import Preprocess
from stages.preprocess.vocaset import Settings
from tests.stages.fake_job import FakeJob

def peak_mb():
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss begins with what the parent held when it forked
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)

root, work = Path(sys.argv[1]), Path(sys.argv[2])
job = FakeJob.under(work)
stage = Preprocess(Preprocess.Params(dataset="vocaset", fps=float(sys.argv[3])), {"dataset": Settings(root=str(root))})
start = time.perf_counter()
stage.run(job)
print(json.dumps({"mb": peak_mb(), "s": time.perf_counter() - start}))
"""


def write_raw(root: Path, sequences: int) -> float:
    """Raw files of `sequences` sequences; gives the size of data_verts.npy in GB."""
    root.mkdir()
    rng = np.random.default_rng(0)
    block = (0.1 * rng.standard_normal((FRAMES, VERTICES, 3))).astype(np.float32)
    with open(root / "data_verts.npy", "wb") as stream:
        header = {"descr": "<f4", "fortran_order": False, "shape": (sequences * FRAMES, VERTICES, 3)}
        npy.write_array_header_1_0(stream, header)
        for number in range(sequences):
            block[0, 0, 0] = number  # no two blocks alike
            stream.write(block.tobytes())
    _write_tables(root, sequences, block[0], rng)
    return (root / "data_verts.npy").stat().st_size / 1e9


def _write_tables(root: Path, sequences: int, template: np.ndarray, rng: np.random.Generator) -> None:
    subjects = [f"subject{number:02d}" for number in range(-(-sequences // 40))]
    names = [(subject, f"sentence{number:02d}") for subject in subjects for number in range(1, 41)][:sequences]
    index: dict[str, dict[str, dict[int, int]]] = {subject: {} for subject in subjects}
    audio: dict[str, dict[str, dict[str, object]]] = {subject: {} for subject in subjects}
    for number, (subject, sentence) in enumerate(names):
        index[subject][sentence] = {frame: number * FRAMES + frame for frame in range(FRAMES)}
        samples = rng.integers(-9000, 9000, RATE * FRAMES // 60, dtype=np.int16)
        audio[subject][sentence] = {"audio": samples, "sample_rate": RATE}
    templates = {subject: template.astype(np.float64) for subject in subjects}
    for name, table in (("subj_seq_to_idx", index), ("raw_audio_fixed", audio), ("templates", templates)):
        (root / f"{name}.pkl").write_bytes(pickle.dumps(table, protocol=2))
    write_ply(root / "FLAME_sample.ply", template, np.array([[0, 1, 2]]))


def measure(folder: Path, gigabytes: float, fps: float) -> float:
    """Prints one line and gives the peak in MB."""
    root, work = folder / "raw", folder / "work"
    size = write_raw(root, max(1, round(gigabytes * 1e9 / (FRAMES * FRAME_BYTES))))
    command = [sys.executable, "-c", CHILD, str(root), str(work), str(fps)]
    start = time.perf_counter()
    finished = subprocess.run(command, check=True, capture_output=True, text=True)
    wall = time.perf_counter() - start
    facts = json.loads(finished.stdout.splitlines()[-1])
    shutil.rmtree(root)
    shutil.rmtree(work)
    rate = size * 1000 / facts["s"]
    print(
        f"data_verts.npy {size:5.2f} GB  peak resident {facts['mb']:4.0f} MB  "
        f"{facts['s']:5.1f} s (process {wall:.1f} s)  {rate:4.0f} MB of raw file a second"
    )
    return float(facts["mb"])


def main() -> int:
    """Exit status 1 where the peak is too high or grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gb", type=float, default=3.0, help="size of data_verts.npy")
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--folder", type=Path, default=None, help="where to write; default: the system's folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        needed, free = options.gb * (1 + options.fps / 60) * 1.05, shutil.disk_usage(folder).free / 1e9
        if free < needed:
            print(
                f"{folder} has {free:.1f} GB free and {needed:.1f} are needed; give a smaller --gb or another --folder"
            )
            return 2
        half = measure(folder, options.gb / 2, options.fps)
        whole = measure(folder, options.gb, options.fps)
    grown, share = whole - half, (whole - half) / (options.gb / 2 * 1000)
    print(f"peak below {LIMIT_MB} MB: {'yes' if whole < LIMIT_MB else 'NO'}")
    print(f"twice the file: {grown:+.0f} MB, {share:.1%} of what the file grew by (the sound, which is held in memory)")
    return 0 if whole < LIMIT_MB and share < MOST_GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
