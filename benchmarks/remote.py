"""Push and pull through a folder and through a local S3 server: `python -m benchmarks.remote [--megabytes 256]`.

One artifact of two shapes: a few large files (features, checkpoints), and many small ones (a sequence each). Beside
each figure stands the bare copy: `shutil.copytree` for the folder, s3fs's own recursive put and get for the bucket,
which hash nothing, publish nothing and start again when cut off. The server is moto's, in a process of its own on this
machine: what it takes is part of both, so the ratio is what counts. Needs the extra [dev].
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cache.lease import lease
from cache.remote import Moved, Remote
from cache.store import Artifact, Store

KEY = {"stage": "benchmark"}


def artifact(folder: Path, files: int, megabytes: int) -> Artifact:
    """Random bytes, so that no two files are equal."""
    store = Store(folder / f"store{files}")
    work = store.work("benchmark", KEY)
    store.begin(work)
    for number in range(files):
        (work.out / f"{number:05d}.bin").write_bytes(os.urandom(megabytes * 1_000_000 // files))
    return store.publish(work, "random", "benchmark", {}, {})


def push(url: str, made: Artifact) -> None:
    for _ in Remote(url).push(made, Moved()):
        pass


def pull(url: str, folder: Path) -> None:
    remote, store = Remote(url), Store(folder)
    parcel, work = remote.find("benchmark", KEY), store.work("benchmark", KEY)
    assert parcel is not None
    store.begin(work)
    with lease(work.lease):
        for _ in remote.pull(parcel, store, work, Moved(), []):
            pass


def bare_s3(made: Artifact, folder: Path) -> tuple[Callable[[], None], Callable[[], None]]:
    import s3fs

    bucket = s3fs.S3FileSystem(use_listings_cache=False)
    return (
        lambda: bucket.put(f"{made.path}/", "lab/bare/", recursive=True),
        lambda: bucket.get("lab/bare/", f"{folder}/", recursive=True),
    )


def timed(call: Callable[[], object]) -> float:
    started = time.monotonic()
    call()
    return time.monotonic() - started


def rounds_of(made: Artifact, base: Path, url: str, number: int) -> dict[str, float]:
    """One round; every round has a place of its own, so that nothing is there already."""
    place, bare = f"{url}/{number}", base / f"bare{number}"
    if url.startswith("s3"):
        put, get = bare_s3(made, base / f"back{number}")
    else:
        put, get = (lambda: shutil.copytree(made.path, bare)), (lambda: shutil.copytree(bare, base / f"back{number}"))
    found = {"push": timed(lambda: push(place, made)), "bare put": timed(put)}
    found["push again"] = timed(lambda: push(place, made))
    found["pull"] = timed(lambda: pull(place, base / f"store{number}"))
    found["bare get"] = timed(get)
    return found


def show(what: str, megabytes: int, times: dict[str, list[float]]) -> None:
    middle = {name: statistics.median(values) for name, values in times.items()}
    for name, beside in (("push", "bare put"), ("pull", "bare get")):
        print(
            f"{what:<34}{name:<6}{middle[name]:7.2f} s {megabytes / middle[name]:6.0f} MB/s   "
            f"{middle[name] / middle[beside]:5.2f} of the bare copy"
        )
    print(f"{what:<34}{'again':<6}{middle['push again']:7.2f} s")


def main() -> None:
    from tests.s3 import environment, start, stop

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    server = start()
    os.environ.update(environment(server.address))
    try:
        with tempfile.TemporaryDirectory() as name:
            for files in (4, 1000):
                made = artifact(Path(name), files, options.megabytes)
                (Path(name) / f"remote{files}").mkdir()
                for kind, url in (("folder", f"{name}/remote{files}"), ("S3", f"s3://lab/{files}")):
                    times: dict[str, list[float]] = {}
                    for number in range(options.rounds):
                        base = Path(name) / kind / str(files)
                        base.mkdir(parents=True, exist_ok=True)
                        for what, seconds in rounds_of(made, base, url, number).items():
                            times.setdefault(what, []).append(seconds)
                    show(f"{kind}, {options.megabytes} MB in {files} files", options.megabytes, times)
    finally:
        stop(server)


if __name__ == "__main__":
    main()
