"""Memory and speed of preprocess on raw files of several gigabytes: `python -m benchmarks.preprocess --gb 3`.

Writes raw files of that size (and of half of it) in a corpus's layout (`--dataset`: VOCASET's one array, or BIWI's .vl
files), real pages of non-zero bytes, runs the stage on each in a process of its own, and prints its peak resident
memory, mapped pages included, and its rate. The peak must stay below 1 GB and grow by no more than VOCASET's sound,
which is held in memory, does. Everything written is deleted again.
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
from faces.vl import write_vl
from stages.preprocess.sound import Clip, write_wav
from stages.preprocess.synthetic.head import neutral_head
from stages.preprocess.synthetic_biwi.raw import to_scanner, write_scan

VERTICES = 5023
FRAME_BYTES = VERTICES * 3 * 4
FRAMES = 240
"""Frames of a sequence: four seconds at 60 per second."""
RATE = 22000
BIWI_VERTICES = 23370
BIWI_BYTES = 4 + BIWI_VERTICES * 12
BIWI_FRAMES = 100
"""Of a sequence: four seconds at 25 per second."""
LIMIT_MB = 1000
MOST_GROWTH = 0.05
"""Of the file. The sound is 1.2 % of the vertices in size and is held up to three times while its pickle is read."""
CHILD = """
import json, resource, sys, time
from pathlib import Path
from stages.preprocess import Preprocess
from stages.preprocess import biwi, vocaset
from tests.stages.fake_job import FakeJob

def peak_mb():
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss begins with what the parent held when it forked
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)

root, work, dataset = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[4]
job = FakeJob.under(work)
settings = {"biwi": biwi, "vocaset": vocaset}[dataset].Settings(root=str(root))
stage = Preprocess(Preprocess.Params(dataset=dataset, fps=float(sys.argv[3])), {"dataset": settings})
start = time.perf_counter()
stage.run(job)
print(json.dumps({"mb": peak_mb(), "s": time.perf_counter() - start}))
"""


def write_biwi(root: Path, gigabytes: float) -> float:
    """.vl files of about that size; gives their size in GB. One head in all of them, moved a little in every frame."""
    head = neutral_head(BIWI_VERTICES)
    points = to_scanner(head.points)
    sequences = max(1, round(gigabytes * 1e9 / (BIWI_FRAMES * BIWI_BYTES)))
    for name in ("rigid_scans", "audio"):
        (root / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(sequences):
        subject, sentence = f"F{number // 40 + 1}", f"e{number % 40 + 1:02d}"
        if number % 40 == 0:
            write_scan(root / "rigid_scans" / f"{subject}.obj", points, head.faces)
        folder = root / "faces" / subject / sentence
        folder.mkdir(parents=True)
        for frame in range(1, BIWI_FRAMES + 1):
            write_vl(folder / f"frame_{frame:03d}.vl", points + np.float32(0.01 * (number + frame)))
        samples = rng.integers(-9000, 9000, RATE * BIWI_FRAMES // 25, dtype=np.int16)
        write_wav(root / "audio" / f"{subject}_{sentence}_cut.wav", Clip(samples, RATE))
    return sequences * BIWI_FRAMES * BIWI_BYTES / 1e9


def write_vocaset(root: Path, gigabytes: float) -> float:
    """data_verts.npy of about that size, with all that belongs to it; gives its size in GB."""
    sequences = max(1, round(gigabytes * 1e9 / (FRAMES * FRAME_BYTES)))
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


def measure(folder: Path, dataset: str, gigabytes: float, fps: float) -> float:
    """Prints one line and gives the peak in MB."""
    root, work = folder / "raw", folder / "work"
    size = {"biwi": write_biwi, "vocaset": write_vocaset}[dataset](root, gigabytes)
    command = [sys.executable, "-c", CHILD, str(root), str(work), str(fps), dataset]
    start = time.perf_counter()
    finished = subprocess.run(command, check=True, capture_output=True, text=True)
    wall = time.perf_counter() - start
    facts = json.loads(finished.stdout.splitlines()[-1])
    shutil.rmtree(root)
    shutil.rmtree(work)
    rate = size * 1000 / facts["s"]
    print(
        f"{dataset} {size:5.2f} GB  peak resident {facts['mb']:4.0f} MB  "
        f"{facts['s']:5.1f} s (process {wall:.1f} s)  {rate:4.0f} MB of raw files a second"
    )
    return float(facts["mb"])


def main() -> int:
    """Exit status 1 where the peak is too high or grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", choices=("vocaset", "biwi"), default="vocaset", help="whose layout")
    parser.add_argument("--gb", type=float, default=3.0, help="size of the raw frames")
    parser.add_argument("--fps", type=float, default=None, help="default: 30 of VOCASET's 60, 25 of BIWI's 25")
    parser.add_argument("--folder", type=Path, default=None, help="where to write; default: the system's folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        native, usual = {"vocaset": (60, 30), "biwi": (25, 25)}[options.dataset]
        fps = options.fps or usual
        needed, free = options.gb * (1 + fps / native) * 1.05, shutil.disk_usage(folder).free / 1e9
        if free < needed:
            print(
                f"{folder} has {free:.1f} GB free and {needed:.1f} are needed; give a smaller --gb or another --folder"
            )
            return 2
        half = measure(folder, options.dataset, options.gb / 2, fps)
        whole = measure(folder, options.dataset, options.gb, fps)
    grown, share = whole - half, (whole - half) / (options.gb / 2 * 1000)
    print(f"peak below {LIMIT_MB} MB: {'yes' if whole < LIMIT_MB else 'NO'}")
    print(f"twice as much: {grown:+.0f} MB, {share:.1%} of what was added (of VOCASET the sound is held in memory)")
    return 0 if whole < LIMIT_MB and share < MOST_GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
