"""What it costs to know files by their bytes: `python -m benchmarks.hashing [--gigabytes 2] [--rounds 5]`.

A large file's first hash, as a run takes it and as a check for damage does, beside one pass of plain blake3 over the
same file mapped into memory, with one thread and with all, and beside hashlib's sha256 and md5; all in turn, files in
the page cache. Then what a touch of that file costs the next two runs, and many small files. Ratios are within one run.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3

from cache import digest
from cache.statcache import GRAIN_NS, StatCache

SMALL_FILES, SMALL_BYTES = 4000, 100_000


def seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def mapped(path: Path, threads: int) -> str:
    hash_ = blake3(max_threads=threads)
    hash_.update_mmap(path)
    return hash_.hexdigest()


def standard(path: Path, name: str) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, name).hexdigest()


def in_turn(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Name → median seconds, the calls taking turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(seconds(call))
    return {name: statistics.median(values) for name, values in times.items()}


def show(title: str, times: dict[str, float], of: str) -> None:
    print(title)
    for name, value in times.items():
        print(f"  {name:<34}{value:8.3f} s   {value / times[of]:6.2f} of {of}")


def large(path: Path, rounds: int) -> None:
    cores = digest.processors()
    calls: dict[str, Callable[[], object]] = {
        "plain blake3, mapped, 1 thread": lambda: mapped(path, 1),
        "plain blake3, mapped, all threads": lambda: mapped(path, cores),
        "first hash of a run": lambda: digest.of_file(path),
        "a check for damage": lambda: digest.of_file_read(path),
        "sha256": lambda: standard(path, "sha256"),
        "md5": lambda: standard(path, "md5"),
    }
    title = f"one file of {path.stat().st_size / 2**30:.1f} GiB, {cores} processors, medians of {rounds}"
    show(title, in_turn(calls, rounds), "plain blake3, mapped, all threads")


def small(folder: Path, rounds: int) -> None:
    paths = []
    for number in range(SMALL_FILES):
        paths.append(folder / f"{number:05d}")
        paths[-1].write_bytes(os.urandom(SMALL_BYTES))
    calls: dict[str, Callable[[], object]] = {
        "one by one": lambda: [digest.of_file(path) for path in paths],
        "side by side": lambda: list(digest.of_files(paths)),
    }
    show(f"{SMALL_FILES} files of {SMALL_BYTES // 1000} kB", in_turn(calls, rounds), "one by one")


def touched(path: Path, folder: Path) -> None:
    """What three runs after each other spend on the file: the first after a touch, and the two after it."""
    past = time.time_ns() - 10 * GRAIN_NS

    def look() -> float:
        cache = StatCache(folder, "hashing")
        taken = seconds(lambda: cache.content(path))
        cache.save()
        return taken

    look()
    os.utime(path, ns=(past, past))
    time.sleep(2.5 * GRAIN_NS / 1e9)  # a change time within the clock's grain is not trusted yet
    passes = {"one pass": seconds(lambda: digest.of_file(path)), "after a touch": look(), "the run after that": look()}
    show("a touch of the large file", passes, "one pass")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="where to put the files", default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        path = Path(name) / "large"
        block = os.urandom(1 << 24)
        with path.open("wb") as stream:
            for _ in range(int(options.gigabytes * 64)):
                stream.write(block)
        large(path, options.rounds)
        touched(path, Path(name) / "state")
        path.unlink()
        (Path(name) / "small").mkdir()
        small(Path(name) / "small", options.rounds)


if __name__ == "__main__":
    main()
