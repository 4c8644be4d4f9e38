"""Steps in processes of their own, and what they tell.

The parent writes a pickled order to the child's standard input, later "stop" or "now"; the child writes JSON lines to a
pipe of its own. Both ends of the order are this program, so the pickle is as safe as an import. The child leads its own
process group: Ctrl-C in a terminal reaches the parent alone, which passes it on once. A child whose parent is gone
reads the end of its input and stops when its work is safe.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from pipeline.errors import Interrupted, PipeError, RecipeError, StageError
from pipeline.gpus import Gpus
from pipeline.progress import Progress, Reporter
from pipeline.workspace import PROJECT

_PATIENCE_S = 2.0
ERRORS = {kind.__name__: kind for kind in (Interrupted, RecipeError, StageError, PipeError)}


@dataclass(frozen=True)
class Ended:
    """The end of a child: its artifact's name, or the error that it told."""

    name: str = ""
    error: PipeError | None = None

    def artifact(self) -> str:
        """The name, or what went wrong, raised."""
        if self.error is not None:
            raise self.error
        return self.name


@dataclass(frozen=True)
class Message:
    """One thing that the child at a place told: [what, …], see `pipeline.child`."""

    place: int
    label: str
    words: list[Any]

    def tell(self, told: Reporter) -> Ended | None:
        """Pass it on; the end is returned."""
        what, *rest = self.words
        if what == "step":
            state, text, facts = rest
            told.step(self.label, state, text, **facts)
        elif what == "progress":
            told.progress(self.label, Progress(*rest) if rest else None)
        elif what == "watch":
            told.watch(self.label, *rest)
        elif what == "warn":
            told.warn(*rest)
        elif what == "line":
            told.line(*rest)
        elif what == "made":
            return Ended(name=rest[0])
        elif what == "error":
            kind, text, trace = rest
            return Ended(error=_error(kind, text, trace))
        return None


class _ChildTrace(Exception):
    """The traceback of a child, shown by --debug."""


def _error(kind: str, text: str, trace: str) -> PipeError:
    error = ERRORS.get(kind, StageError)(text)
    error.__cause__ = _ChildTrace(f"\n{trace}")
    return error


class Child:
    """A process that makes one artifact."""

    def __init__(self, place: int, label: str, order: bytes, gpus: Gpus, messages: queue.SimpleQueue[Message]) -> None:
        self._place, self._label, self._messages, self._asked = place, label, messages, ""
        told, tells = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pipeline.child", str(tells), label],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(tells, *gpus.locks),  # a GPU stays taken while its child lives, whatever becomes of us
                process_group=0,
                env=_environment(gpus),
            )
        except OSError as error:
            os.close(told)
            raise StageError(f"step {label!r}: no process can be started for it ({error.strerror})") from error
        finally:
            os.close(tells)
        self._threads = [
            threading.Thread(target=self._listen, args=(os.fdopen(told, "rb"),), daemon=True),
            threading.Thread(target=self._say(order), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, *, at_once: bool = False) -> None:
        """Ask it to stop, when its work is safe or at once."""
        word = "now" if at_once else "stop"
        if self._asked != word:
            self._asked = word
            with suppress(OSError, ValueError):
                _pipe(self._process.stdin).write(f"{word}\n".encode())
                _pipe(self._process.stdin).flush()

    def kill(self) -> None:
        """End it and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """Take leave of a child that has ended."""
        with suppress(OSError):
            _pipe(self._process.stdin).close()
        self._process.wait()
        for thread in self._threads:
            thread.join(timeout=_PATIENCE_S)  # something that the step started may still hold its output open

    def _say(self, order: bytes) -> Callable[[], None]:
        def work() -> None:
            with suppress(OSError, ValueError):
                stdin = _pipe(self._process.stdin)
                stdin.write(order)
                stdin.flush()
            with io.TextIOWrapper(_pipe(self._process.stdout), errors="replace") as printed:
                for line in filter(str.strip, printed):
                    self._messages.put(Message(self._place, self._label, ["step", "", line.rstrip(), {}]))

        return work

    def _listen(self, stream: IO[bytes]) -> None:
        ended = False
        with stream:
            for words in _lines(stream):
                ended |= words[0] in ("made", "error")
                self._messages.put(Message(self._place, self._label, words))
        if not ended:
            self._messages.put(Message(self._place, self._label, ["error", "StageError", self._died(), ""]))

    def _died(self) -> str:
        code = self._process.wait()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        guess = "; perhaps the machine ran out of memory" if code == -signal.SIGKILL else ""
        return f"step {self._label!r}: its process {how}{guess}; what was finished is kept, run again to go on"


def _lines(stream: IO[bytes]) -> Iterator[list[Any]]:
    for line in stream:
        with suppress(ValueError):  # torn by a kill
            yield json.loads(line)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def _environment(gpus: Gpus) -> dict[str, str]:
    """PYTHONPATH so that the child is this very program; the GPUs so that it sees no other."""
    path = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    found = os.environ | {"PYTHONPATH": os.pathsep.join(path), "PYTHONUNBUFFERED": "1"}
    words = [gpu.word for gpu in gpus.held if gpu.word != "mps"]
    return found | ({"CUDA_VISIBLE_DEVICES": ",".join(words)} if words else {})


class _Pickler(pickle.Pickler):
    def reducer_override(self, thing: Any) -> Any:
        """`dataclasses.MISSING` stays the one thing that it is."""
        return "MISSING" if thing is dataclasses.MISSING else NotImplemented


def packed(order: Any) -> bytes:
    """An order for `pipeline.child`: where to look for modules, then what to do. StageError where it cannot be sent."""
    buffer = io.BytesIO()
    try:
        _Pickler(buffer).dump(order)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise StageError(f"cannot be handed to a process of its own ({error}); run with --jobs 1") from error
    blocks = (pickle.dumps(sys.path), buffer.getvalue())
    return b"".join(len(block).to_bytes(8, "big") + block for block in blocks)
