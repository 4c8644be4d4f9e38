"""A process that helps others train: it waits for orders, computes its share, and publishes nothing.

`python -m stages.train.follow HOST PORT RANK SIZE` where process 0 starts it; `follow` where a launcher has. It ends
with 0 when process 0 has no more for it, and with 1 and a sentence when that is gone.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")

os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # a lost connection is told in a sentence of ours

from torch.distributed import DistNetworkError, PrefixStore, Store  # noqa: E402

from pipeline.errors import Interrupted, StageError  # noqa: E402
from pipeline.launched import Place  # noqa: E402
from pipeline.stage import Input  # noqa: E402
from stages.train.processes import Parted, Processes  # noqa: E402
from stages.train.rendezvous import Address, Pulse, connect, first_line, launchers_address, next_order  # noqa: E402
from stages.train.sharing import Order, host  # noqa: E402

_REASON_S = 3.0
"""How long a broken connection may be the end of process 0, or of its training."""


class Wish:
    """Signals become a wish to stop, which travels to process 0 with the next step's sums."""

    def __init__(self) -> None:
        self.heard = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.heard = True


class Share:
    """The `pipeline.stage.Job` of a follower: it reads, and has nothing to tell."""

    processes = 1

    def __init__(self, order: Order, device: str, wish: Wish) -> None:
        self.out = self.state = Path(order.state)
        self.inputs: Mapping[str, Input] = order.job_inputs()
        self.seed, self.workers, self.device, self._wish = order.seed, order.threads, device, wish

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
        raise StageError(f"{unit} are made by process 0 alone")

    def taken_over(self, ids: Iterable[str]) -> set[str]:
        return set()

    def track(self, things: Iterable[T], *, total: int | None = None, unit: str = "steps") -> Iterator[T]:
        yield from things

    def say(self, text: str) -> None:
        return None

    def watch(self, text: str) -> None:
        return None

    def note(self, **facts: Any) -> None:
        return None

    def stopping(self) -> bool:
        return self._wish.heard


class Follower:
    """device_index: which GPU is its own, as torch counts."""

    def __init__(self, address: Address, rank: int, size: int, device_index: int) -> None:
        self.address, self.rank, self.size, self.device_index = address, rank, size, device_index
        self.who = f"process {rank} of {size} on {host()}"
        self.wish = Wish()
        self.parted = False

    def run(self) -> int:
        """Follow until there is nothing more to do."""
        store = connect(self.address)
        leader = {"beat/0": "process 0"}
        number = 1
        with Pulse(self.address, f"beat/{self.rank}", leader, alarm=self._leave):
            try:
                while text := next_order(store, number, self._deserted):
                    self._carry_out(Order.read(text), store, number)
                    number += 1
            except DistNetworkError as error:
                self._leave(f"process 0 is gone ({first_line(error)})")
        with suppress(RuntimeError):  # process 0 need not wait for us to hear that it has heard
            store.add("left", 1)
        return 0

    def _deserted(self) -> None:
        """A launcher whose table outlives process 0 sends SIGTERM: no order will follow."""
        if self.parted and self.wish.heard:
            self._leave("process 0 is gone")

    def _leave(self, why: str) -> NoReturn:
        """At once: the main thread may wait for a process that is gone."""
        print(f"error: {self.who} ends: {why}", file=sys.stderr, flush=True)
        os._exit(1)

    def _carry_out(self, order: Order, store: Store, number: int) -> None:
        group: list[Processes] = []

        def abort(found: str) -> None:
            for one in group:
                one.abort()

        leader = {f"{number}/beat": "process 0"}
        with Pulse(self.address, theirs=leader, trouble=lambda own: _over(own, number), alarm=abort) as pulse:
            try:
                self._train(order, store, number, pulse, group)
            except Interrupted:
                pass  # as process 0 is
            except Exception as error:
                if not pulse.wait(_REASON_S if isinstance(error, Parted) else 0):
                    self.parted = isinstance(error, Parted)
                    self._complain(error, store, number)
            finally:
                for one in group:
                    one.close()
                    if one.stuck:
                        self._leave("an exchange with processes that are gone does not end")

    def _complain(self, error: Exception, store: Store, number: int) -> None:
        """Before the group is closed, so that process 0 finds the reason when it finds us gone."""
        known = hasattr(type(error), "exit_code")
        if not known and "--debug" in sys.argv:
            traceback.print_exception(error)
        told = str(error) if known else f"unexpected {type(error).__name__}: {error}"
        with suppress(RuntimeError):
            store.set(f"{number}/failed/{self.rank}", f"{self.who}: {told}")

    def _train(self, order: Order, store: Store, number: int, pulse: Pulse, group: list[Processes]) -> None:
        from stages.train.session import fitted

        order.check()
        settings, device = order.model_settings(), self._device(order.device)
        store.set(f"{number}/ready/{self.rank}", "")
        meeting = PrefixStore(f"{number}/group", connect(self.address))
        group.append(Processes(meeting, self.rank, self.size, device, lambda: pulse.found))
        fitted(Share(order, device, self.wish), order.job_params(), settings, group[0])

    def _device(self, leaders: str) -> str:
        import torch

        kind = leaders.partition(":")[0]
        if kind != "cuda":
            return kind
        if self.device_index >= torch.cuda.device_count():
            raise StageError(f"torch sees {torch.cuda.device_count()} GPUs, and GPU {self.device_index} is wanted")
        return f"cuda:{self.device_index}"


def _over(store: Store, number: int) -> str:
    return "process 0 has ended the training" if store.check([f"{number}/over"]) else ""


def follow(place: Place) -> int:
    """What a process does that a launcher has started beside process 0."""
    import torch

    index = place.local_rank % max(1, torch.cuda.device_count())
    return Follower(launchers_address(), place.rank, place.size, index).run()


def main() -> None:
    """Where process 0 has started it: GPUs are lent in the order of ranks."""
    host_name, port, rank, size = sys.argv[1:5]
    sys.exit(Follower(Address(host_name, int(port)), int(rank), int(size), int(rank)).run())


if __name__ == "__main__":
    main()
