"""The nightly mode: `python -m tests.fuzz --count 100000 [--formats pkl npy …] [--keep FOLDER]`.

Each format is read in a process of its own, which may take 1 GB more than it begins with, ten seconds an input, and is
told of every program started, file written and connection made. Prints a line a format; an input that fails is kept.
Exit status 1 where there was one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.formats import FORMATS
from tests.fuzz.guard import Canary, Guard, limit_memory
from tests.fuzz.mutations import mutated

BATCH = 2000
"""Inputs after which Hypothesis begins anew: it remembers what it has tried."""


def fuzz(name: str, count: int, first: int, folder: Path) -> None:
    """In the child. The input under way lies in `folder`, whatever becomes of the process."""
    form = FORMATS[name]
    samples = form.seeds(folder)
    for sample in samples:
        Guard(form, folder, None).read(sample.finish(sample.content))  # imports what readers import late
    Guard(form, folder, None).read(b"")
    guard = Guard(form, folder, Canary())
    limit_memory()
    for batch in range(-(-count // BATCH)):

        @seed(first + batch)
        @settings(
            max_examples=min(BATCH, count - batch * BATCH), deadline=None, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
        )  # fmt: skip
        @given(mutated(samples))
        def run(content: bytes) -> None:
            guard.read(content)

        run()
    print(f"{guard.results['answers']:,} answers, {guard.results['errors']:,} errors")


def watch(name: str, count: int, first: int, keep: Path) -> bool:
    """In the parent: whether all went well."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.fuzz", "--child", folder, "--formats", name, "--count", str(count)]
        done = subprocess.run([*command, "--seed", str(first)], capture_output=True, text=True)
        rate = f"{count / (time.monotonic() - start):,.0f} a second"
        if done.returncode == 0:
            print(f"{name:12} {count:9,} inputs  {done.stdout.strip().splitlines()[-1]}  {rate}", flush=True)
            return True
        kept = keep / f"{name}-{Path(FORMATS[name].file).name}"
        keep.mkdir(parents=True, exist_ok=True)
        kept.write_bytes((Path(folder) / FORMATS[name].file).read_bytes())
    died = f"killed by signal {-done.returncode}" if done.returncode < 0 else ""
    print(f"{name:12} FAILED {died} {kept}\n{done.stderr[-3000:]}", flush=True)
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="inputs of each format")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--seed", type=int, default=0, help="other inputs")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="where inputs that fail are kept")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        try:
            fuzz(options.formats[0], options.count, options.seed, options.child)
        except BaseException:
            traceback.print_exc(limit=-6)
            return 1
        return 0
    return 0 if all([watch(name, options.count, options.seed, options.keep) for name in options.formats]) else 1


if __name__ == "__main__":
    sys.exit(main())
