"""What a run does with a remote: look there before a step is made, upload what was made.

Without a remote nothing is imported or done. A remote never fails a run: one that is down is given up for the rest of
the run after its first failure, uploads that are refused are given up while fetching goes on, an artifact that is
damaged there is made here and put right there; each costs one warning. Only a wish to stop leaves as an exception.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING

from cache.errors import CacheError, RemoteDamaged, RemoteDown, RemoteError
from cache.store import Artifact
from cache.work import Work
from pipeline.errors import Interrupted
from pipeline.progress import Reporter, duration, size_text
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from cache.remote import Moved, Remote

MEGABYTE = 1_000_000
WORTH_TELLING = 10 * MEGABYTE
"""From here on a transfer is announced and has a bar."""


class Exchange:
    """The remote of one run. May be used by several threads at once."""

    def __init__(self, workspace: Workspace, reporter: Reporter, stopped: Callable[[], bool] = lambda: False) -> None:
        self._workspace = workspace
        self._reporter = reporter
        self._stopped = stopped
        mode = workspace.remote_mode if workspace.remote else "off"
        self._fetches, self._uploads = mode != "off", mode == "rw"
        self._damaged: set[str] = set()
        self._remote: Remote | None = None
        self._lock = threading.Lock()

    def fetch(self, step: str, work: Work) -> Artifact | None:
        """The artifact of a key, fetched and published, or None. Called under the lease of the key."""
        if not self._fetches:
            return None
        try:
            return self._fetch(step, work)
        except RemoteDamaged as error:
            self._damaged.add(_id(work.stage, work.key))
            self._reporter.line(f"warning: {error}; step {step!r} is made here instead")
        except RemoteError as error:
            self._give_up(error)
        return None

    def offer(self, step: str, artifact: Artifact) -> None:
        """Upload an artifact that was just made."""
        if not self._uploads:
            return
        from cache.remote import Moved

        moved, again = Moved(), _id(artifact.path.parent.name, artifact.key) in self._damaged
        started = time.monotonic()
        try:
            pushing = self._at().push(artifact, moved, again=again)
            follow(self._reporter, step, pushing, artifact.record["bytes"], self._stopped)
        except CacheError as error:
            self._give_up(error, uploading=True)
            return
        if moved.files:
            self._reporter.step(step, "uploaded", pace(moved, f"to {self._at().address}", started))

    def _fetch(self, step: str, work: Work) -> Artifact | None:
        from cache.remote import Moved

        started = time.monotonic()
        parcel = self._at().find(work.stage, work.key)
        if parcel is None:
            return None
        moved, done = Moved(), list[Artifact]()
        if parcel.weight >= WORTH_TELLING:
            self._reporter.step(step, "fetching", f"{size_text(parcel.weight)} from {self._at().address}")
        pulling = self._at().pull(parcel, self._workspace.store, work, moved, done)
        follow(self._reporter, step, pulling, parcel.weight, self._stopped)
        self._reporter.step(step, "fetched", f"{pace(moved, f'from {self._at().address}', started)} → {done[0].name}")
        return done[0]

    def _at(self) -> Remote:
        with self._lock:
            if self._remote is None:
                from cache.remote import Remote

                self._remote = Remote(self._workspace.remote)
            return self._remote

    def _give_up(self, error: CacheError, *, uploading: bool = False) -> None:
        with self._lock:
            told = not self._uploads if uploading else not self._fetches
            self._uploads = False
            if not uploading or isinstance(error, RemoteDown):
                self._fetches = False
        if not told:
            what = "nothing is uploaded, `pipe cache push` can do it later" if uploading else "it is left out"
            self._reporter.line(f"warning: {error}. For the rest of this run {what}.")


def follow(
    reporter: Reporter, step: str, moved: Generator[int], size: int, stopped: Callable[[], bool] = lambda: False
) -> None:
    """Drive a transfer to its end under a progress bar. Interrupted where the user wishes to stop."""

    def until_stopped() -> Iterator[int]:
        for count in moved:
            yield count
            if stopped():
                raise Interrupted("stopped by the user; what has arrived is kept, run again to go on")

    with contextlib.closing(moved):
        counts: Iterable[int] = until_stopped()
        if size >= WORTH_TELLING:
            counts = reporter.track(step, megabytes(counts), size // MEGABYTE, "MB")
        for _ in counts:
            pass


def megabytes(moved: Iterable[int]) -> Iterator[int]:
    """One value for each whole million of bytes that moved: what a progress bar counts."""
    total = shown = 0
    for count in moved:
        total += count
        for _ in range(total // MEGABYTE - shown):
            yield total
        shown = total // MEGABYTE


def pace(moved: Moved, whither: str, started: float) -> str:
    """ "12.0 MB to s3://lab/cache in 0.4 s, 30.0 MB/s"."""
    seconds = time.monotonic() - started
    text = f"{size_text(moved.bytes)} {whither} in {duration(seconds)}"
    return f"{text}, {size_text(moved.bytes / seconds)}/s" if moved.bytes >= MEGABYTE and seconds else text


def _id(stage: str, key: object) -> str:
    from cache import digest

    return f"{stage} {digest.of_json(key)}"
