"""A `Group` of processes: sums and exchanges by `torch.distributed`, which never wait for one that is gone.

Small things go over gloo between processors, so that they neither wait for the GPU nor count on its being well.
Gradients go over NCCL where they are on GPUs, in buckets: one exchange of many megabytes is faster than hundreds of
small ones, and a bucket at a time keeps the copy small.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.nn.functional  # before any group: its defaults hold the one that it finds, for ever
from torch import Tensor, nn

from pipeline.errors import StageError
from stages.train.rendezvous import first_line

BUCKET_BYTES = 32 * 2**20
_EVER = timedelta(days=7)
"""Process 0 validates while the others wait; that one has died is known otherwise."""
_LOOK = timedelta(seconds=1)


PATIENCE_S = 5.0
LEADERS_PATIENCE_S = 15.0
"""Until an exchange that has lost its purpose is given up. Process 0 can wait for the others to do that first."""


class Parted(StageError):
    """Another process is gone, or has stopped taking part; this one is not to blame."""


class Processes:
    """The group of several processes, of which this is one. One at a time in a process.

    device: of the gradients. trouble: says why another will not answer, "" while there is no reason to think so.
    stuck: after `close`, whether an exchange could not be left; the process had then better end.
    """

    stuck = False

    def __init__(
        self, store: dist.Store, rank: int, size: int, device: str, trouble: Callable[[], str] = lambda: ""
    ) -> None:
        self.rank, self.size = rank, size
        self._cuda = torch.device(device).type == "cuda"
        self._trouble = trouble
        self._pending: Any = None
        if self._cuda:
            torch.cuda.set_device(device)
        self._join(store)

    def _join(self, store: dist.Store) -> None:
        """In a thread: the call cannot be ended from outside, and another process may die before it answers."""
        failed: list[Exception] = []

        def join() -> None:
            backend = "cpu:gloo,cuda:nccl" if self._cuda else "gloo"
            try:
                dist.init_process_group(backend, store=store, rank=self.rank, world_size=self.size, timeout=_EVER)
            except Exception as error:
                failed.append(error)

        thread = threading.Thread(target=join, daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(_LOOK.total_seconds())
            if thread.is_alive() and (reason := self._trouble()):
                raise Parted(reason)
        if failed:
            raise self._parted(failed[0])

    def total(self, values: Tensor) -> Tensor:
        result = values.clone()
        self._over_gloo(lambda: dist.all_reduce(result, async_op=True))
        return result

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        learned = list(parameters)
        had = torch.tensor([parameter.grad is not None for parameter in learned], dtype=torch.float64)
        anywhere = self.total(had).tolist()
        for parameter, processes in zip(learned, anywhere, strict=True):
            if processes and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        for bucket in buckets([parameter.grad for parameter in learned if parameter.grad is not None]):
            self._sum(bucket)

    def _sum(self, bucket: Sequence[Tensor]) -> None:
        flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
        if self._cuda:
            try:
                dist.all_reduce(flat)
            except RuntimeError as error:
                raise self._parted(error) from error
        else:
            self._over_gloo(lambda: dist.all_reduce(flat, async_op=True))
        for gradient, summed in zip(bucket, flat.split([gradient.numel() for gradient in bucket]), strict=True):
            gradient.copy_(summed.view_as(gradient))

    def gather(self, thing: Any) -> list[Any]:
        """See `Group`. As bytes that torch's safe reader accepts: no process can make another run code."""
        buffer = io.BytesIO()
        torch.save(thing, buffer)
        mine = torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)
        sizes = torch.zeros(self.size, dtype=torch.float64)
        sizes[self.rank] = len(mine)
        lengths = [int(size) for size in self.total(sizes).tolist()]
        padded = torch.zeros(max(lengths), dtype=torch.uint8)
        padded[: len(mine)] = mine
        rows = [torch.empty_like(padded) for _ in lengths]
        self._over_gloo(lambda: dist.all_gather(rows, padded, async_op=True))
        given = [row[:length].numpy().tobytes() for row, length in zip(rows, lengths, strict=True)]
        return [torch.load(io.BytesIO(one), map_location="cpu", weights_only=True) for one in given]

    def close(self) -> None:
        """See `Group`. Leaving does not return before the last exchange has ended, by an error if others have left."""
        until = time.monotonic() + (LEADERS_PATIENCE_S if self.rank == 0 else PATIENCE_S)
        with suppress(RuntimeError):
            while self._pending is not None and time.monotonic() < until and not _waited(self._pending):
                pass
        self.stuck = self._pending is not None and not self._pending.is_completed()
        with suppress(RuntimeError):  # the others may be gone
            if dist.is_initialized() and not self.stuck:
                dist.destroy_process_group()

    def abort(self) -> None:
        """From another thread: end what waits on the GPU. Over gloo nothing does for longer than a look."""
        if self._cuda and dist.is_initialized() and dist.group.WORLD is not None:
            with suppress(RuntimeError):
                dist.group.WORLD.abort()

    def _over_gloo(self, begin: Callable[[], Any]) -> None:
        """An exchange between processors, waited for in slices, so that the end of another is noticed."""
        try:
            self._pending = begin()
            while not _waited(self._pending):
                if reason := self._trouble():
                    raise Parted(reason)
            self._pending = None
        except RuntimeError as error:
            raise self._parted(error) from error

    def _parted(self, error: Exception) -> Parted:
        reason = f"another of the {self.size} processes that train together has left; its own output says why"
        return Parted(self._trouble() or f"{reason} ({first_line(error)})")


def _waited(work: Any) -> bool:
    """Whether an exchange has ended within a slice of time. RuntimeError where it has failed."""
    try:
        work.wait(_LOOK)
    except RuntimeError:
        if not work.is_completed():
            return False
        work.wait(_LOOK)  # it has ended meanwhile, or failed, and says so again
    return True


def buckets(gradients: Iterable[Tensor], most: int = BUCKET_BYTES) -> Iterator[list[Tensor]]:
    """Consecutive ones of one type and device, together of at most that many bytes where there are several."""
    held: list[Tensor] = []
    for gradient in gradients:
        alike = not held or (gradient.dtype, gradient.device) == (held[0].dtype, held[0].device)
        if held and (not alike or sum(map(_bytes, held)) + _bytes(gradient) > most):
            yield held
            held = []
        held.append(gradient)
    if held:
        yield held


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
