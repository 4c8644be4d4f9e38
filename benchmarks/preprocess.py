"""Memory and speed of preprocess on raw files of several gigabytes: `python -m benchmarks.preprocess --gb 3`.

Writes raw files of that size in a corpus's layout (`--dataset vocaset`: one array; `biwi`: 14 subjects as .vl, as .vl
in .tar, or as .obj, `--form`), runs the stage on half and on all of them with one and with more threads, each in a
process of its own, and prints its peak resident memory, mapped pages included, its rate, and what more threads gain.
The peak must stay below 1 GB and must not grow with the data. The files are read from the page cache where it holds
them. Everything written is deleted again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.preprocess_raw import BIWI_FRAMES, write_biwi, write_vocaset

LIMIT_MB = 1000
MOST_GROWTH = 0.02
"""Of what was added. Of VOCASET the sound, which is held, is there in both runs."""
CHILD = """
import json, os, resource, sys, time
from pathlib import Path
from stages.preprocess import Preprocess
from stages.preprocess import biwi, vocaset
from stages.preprocess.overlapping import overlapping
from tests.stages.fake_job import FakeJob

class Job(FakeJob):
    def each(self, ids, make, *, threads=1, **rest):
        for _ in overlapping(make, ids, threads):
            pass

def peak_mb():
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss begins with what the parent held when it forked
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)

root, work, dataset, fps, limit, threads = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], *sys.argv[4:7]
job = Job.under(work, workers=int(threads))
settings = {"biwi": biwi, "vocaset": vocaset}[dataset].Settings(root=str(root))
stage = Preprocess(Preprocess.Params(dataset=dataset, fps=float(fps), limit=int(limit)), {"dataset": settings})
wall, cpu = time.perf_counter(), time.process_time()
stage.run(job)
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
made = len(json.loads((job.out / "sequences.json").read_text())["sequences"])
print(json.dumps({"mb": peak_mb(), "s": wall, "cpu": cpu, "made": made}))
"""


def measure(root: Path, dataset: str, fps: float, limit: int, threads: int) -> dict[str, float]:
    """What a process of its own says of one run."""
    work = root.with_name("work")
    words = [str(root), str(work), dataset, str(fps), str(limit), str(threads)]
    finished = subprocess.run([sys.executable, "-c", CHILD, *words], check=True, capture_output=True, text=True)
    shutil.rmtree(work)
    facts: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return facts


def compare(root: Path, dataset: str, what: str, options: argparse.Namespace) -> bool:
    """Write, measure, print and delete; whether memory is bounded."""
    size, sequences = write_vocaset(root, options.gb) if dataset == "vocaset" else write_biwi(root, options.gb, what)
    subjects = -(-sequences // 40) if dataset == "vocaset" else 14
    usual = options.fps or {"vocaset": 30.0, "biwi": 25.0}[dataset]
    half = measure(root, dataset, usual, max(1, sequences // subjects // 2), 1)  # and all is compiled from now on
    part = size / sequences * half["made"]
    print(f"{what:8} {part:5.2f} GB  {half['made']:4.0f} sequences  peak {half['mb']:4.0f} MB")
    first, bounded = 0.0, True
    for threads in options.threads:
        found = measure(root, dataset, usual, 0, threads)
        first = first or found["s"]
        added = (found["mb"] - half["mb"]) / (size * 1000 * (1 - half["made"] / sequences))
        bounded &= found["mb"] < LIMIT_MB and (threads > 1 or added < MOST_GROWTH)
        print(
            f"{what:8} {size:5.2f} GB  {found['made']:4.0f} sequences  peak {found['mb']:4.0f} MB  {threads} threads "
            f"{found['s']:6.1f} s, {found['cpu']:.1f} s of processor  {found['made'] / found['s']:5.1f} sequences and "
            f"{size * 1000 / found['s']:5.0f} MB of raw files a second  × {first / found['s']:.2f}",
            flush=True,
        )
    shutil.rmtree(root)
    return bounded


def main() -> int:
    """Exit status 1 where the peak is too high or grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", choices=("vocaset", "biwi"), default="vocaset", help="whose layout")
    parser.add_argument("--form", nargs="+", choices=(*BIWI_FRAMES,), default=[*BIWI_FRAMES], help="of BIWI's frames")
    parser.add_argument("--gb", type=float, default=3.0, help="size of the raw frames")
    parser.add_argument("--fps", type=float, default=None, help="default: 30 of VOCASET's 60, 25 of BIWI's 25")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="how many, one after the other")
    parser.add_argument("--folder", type=Path, default=None, help="where to write; default: the system's folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        needed, free = options.gb * 2.1, shutil.disk_usage(name).free / 1e9
        if free < needed:
            print(f"{name} has {free:.1f} GB free and {needed:.1f} are needed; give a smaller --gb or another --folder")
            return 2
        forms = options.form if options.dataset == "biwi" else ["vocaset"]
        bounded = [compare(Path(name) / "raw", options.dataset, form, options) for form in forms]
    print(f"peak below {LIMIT_MB} MB, and the same for half of it: {'yes' if all(bounded) else 'NO'}")
    return 0 if all(bounded) else 1


if __name__ == "__main__":
    sys.exit(main())
