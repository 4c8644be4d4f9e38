"""The `Job` that a running stage is handed: its folders, its inputs, its items and its voice."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from cache.digest import of_json
from cache.work import Work
from pipeline.errors import Interrupted, StageError
from pipeline.items import NOTHING, Donor, Reuse
from pipeline.journal import Finished, Journal
from pipeline.progress import Reporter
from pipeline.stage import Input

T = TypeVar("T")

AT_ITEM = "at item "
"""What begins the note, on an error that leaves an item, that names it."""


class Stop:
    """Turns Ctrl-C and SIGTERM into a wish to stop; the second Ctrl-C stops at once."""

    def __init__(self, reporter: Reporter) -> None:
        self.wished = False
        self._reporter = reporter
        self._old: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old[number] = signal.signal(number, self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        for number, old in self._old.items():
            signal.signal(number, old)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self.wished:
            raise KeyboardInterrupt
        self.wished = True
        self._reporter.line("stopping when the current piece of work is safe; Ctrl-C again stops at once")


class RunningJob:
    """See `pipeline.stage.Job` for the contract."""

    def __init__(
        self,
        step: str,
        work: Work,
        inputs: Mapping[str, Input],
        *,
        seed: int,
        device: str,
        workers: int,
        reporter: Reporter,
        stop: Stop,
        processes: int = 1,
        reuse: Reuse = NOTHING,
    ) -> None:
        self._reuse = reuse
        self.out, self.state = work.out, work.state
        self.inputs, self.seed, self.workers, self.processes = inputs, seed, workers, processes
        self.notes: dict[str, Any] = {}
        self.donors: Counter[str] = Counter()
        """Earlier artifacts → how many items were taken over from them."""
        self.used_device = "cpu"  # until the stage asks
        self.journal = Journal(work)
        self._step, self._device, self._reporter, self._stop = step, device, reporter, stop

    @property
    def device(self) -> str:
        self.used_device = self._found_device()
        return self.used_device

    def _found_device(self) -> str:
        import torch

        if self._device == "auto":
            return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        kind, _, index = self._device.partition(":")
        count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[kind]
        if int(index or 0) >= count:
            raise StageError(f"--device {self._device}: torch sees no such device on this machine; use auto or cpu")
        return self._device

    def each(
        self,
        ids: Sequence[str],
        make: Callable[[str], Iterable[Path]],
        *,
        unit: str = "sequences",
        threads: int = 1,
        adopt: Callable[[str, Path], Iterable[Path]] | None = None,
        late: Any = None,
    ) -> None:
        known = "" if late is None else of_json(late)
        self._check_units(ids, unit)
        waiting = [item for item in ids if not self._is_finished(f"{unit}/{item}", known)]
        if len(waiting) < len(ids):
            self.say(f"{len(ids) - len(waiting)} of {len(ids)} {unit} were finished by an earlier attempt")
        over = self._take_over(waiting, unit, known, adopt)
        if over:
            self.say(f"{len(over)} of {len(ids)} {unit} are as they were and are taken over")
            waiting = [item for item in waiting if item not in over]

        failed = threading.Event()

        def finish(item: str) -> None:
            if failed.is_set():  # those that were handed out already may begin before the error has gone its way
                return
            if self.stopping():
                raise Interrupted(f"stopped by the user; finished {unit} are kept, run again to go on")
            for file in self.journal.files(f"{unit}/{item}"):
                file.unlink(missing_ok=True)  # made with another `late`; it may be a link to an artifact's file
            try:
                self.journal.done(f"{unit}/{item}", make(item), key=self._reuse.key(item), late=known)
            except Exception as error:
                failed.set()
                error.add_note(f"{AT_ITEM}{item}")
                raise

        for _ in self.track(_calls(finish, waiting, threads), total=len(waiting), unit=unit):
            pass

    def taken_over(self, ids: Iterable[str]) -> set[str]:
        return {item for item in ids if item in self._reuse.donors}

    def _is_finished(self, name: str, late: str) -> bool:
        entry = self.journal.finished.get(name)
        return entry is not None and entry.late == late

    def _take_over(
        self, items: Iterable[str], unit: str, late: str, adopt: Callable[[str, Path], Iterable[Path]] | None
    ) -> set[str]:
        linked, over = {}, set()
        for item in items:
            donor = next((donor for donor in self._reuse.donors.get(item, ()) if donor.late == late), None)
            if donor is None:
                continue
            name, key = f"{unit}/{item}", self._reuse.key(item)
            if adopt is not None and donor.published:
                if not (files := self._adopted(item, donor, adopt)):
                    continue
                self.journal.done(name, files, key=key, late=late)
            elif (sizes := donor.link(self.out.parent)) is not None:
                linked[name] = Finished(sizes, key, late, donor.known)
            else:
                continue
            over.add(item)
            if donor.published:
                self.donors[donor.folder.name] += 1
        self.journal.add(linked)
        return over

    def _adopted(self, item: str, donor: Donor, adopt: Callable[[str, Path], Iterable[Path]]) -> list[Path]:
        """The files of an item that was brought over, none where the artifact has gone or has rotted."""
        try:
            files = list(adopt(item, donor.folder))
        except (OSError, KeyError, ValueError) as error:
            self.say(f"{item} cannot be taken over from {donor.folder.name} ({error}) and is made anew")
            return []
        except Exception as error:
            if not hasattr(type(error), "exit_code"):
                raise
            self.say(f"{item} is made anew: {error}")
            return []
        if donor.is_matched_by(files, self.out.parent):
            return files
        self.say(f"{item} is made anew: {donor.folder.name} has rotted; `pipe cache verify --repair` sets it aside")
        for file in files:
            file.unlink()
        return []

    def _check_units(self, ids: Iterable[str], unit: str) -> None:
        """Items are known by id alone once they are published."""
        others = {name.partition("/")[2]: name for name in self.journal.finished if not name.startswith(f"{unit}/")}
        if twice := next((item for item in ids if item in others), ""):
            raise StageError(f"{unit}/{twice} and {others[twice]} are items of one name: give one of them another id")

    def track(self, things: Iterable[T], *, total: int | None = None, unit: str = "steps") -> Iterator[T]:
        if total is None and isinstance(things, Sequence):
            total = len(things)
        return self._reporter.track(self._step, things, total, unit)

    def say(self, text: str) -> None:
        for line in text.splitlines():
            self._reporter.step(self._step, "", line)

    def watch(self, text: str) -> None:
        self._reporter.watch(self._step, text)

    def note(self, **facts: Any) -> None:
        self.notes |= facts

    def stopping(self) -> bool:
        return self._stop.wished


def _calls(call: Callable[[str], None], items: Sequence[str], threads: int) -> Iterator[None]:
    if threads <= 1 or len(items) <= 1:
        for item in items:
            call(item)
            yield
        return
    from joblib import Parallel, delayed

    yield from Parallel(n_jobs=threads, backend="threading", return_as="generator_unordered")(
        delayed(call)(item) for item in items
    )
