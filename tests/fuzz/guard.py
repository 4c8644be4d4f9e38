"""One input under watch: what may come of it is a clear error or an answer, soon, in little memory, and no code run."""

from __future__ import annotations

import resource
import signal
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from faces.errors import DataError
from tests.fuzz.form import Format

SECONDS = 10
"""After which an input has hung."""
MOST_BYTES = 1 << 30
FORBIDDEN = ("os.system", "subprocess.Popen", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "pty.spawn")
FORBIDDEN += ("socket.", "ctypes.dlopen", "os.remove", "os.rename", "os.mkdir", "os.link", "os.symlink", "shutil.")


class CodeRun(BaseException):
    """A file made its reader do what no reader does."""


class Canary:
    """Told of all that Python's audit events tell, for as long as a file is read."""

    def __init__(self) -> None:
        self.armed = False
        sys.addaudithook(self.hear)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.armed:
            return
        writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        if writes or event.startswith(FORBIDDEN):
            self.armed = False
            raise CodeRun(f"{event} {arguments!r}")


class Guard:
    """Reads inputs of a format in a folder; `results` counts what came of them."""

    def __init__(self, form: Format, folder: Path, canary: Canary | None) -> None:
        self.form, self.file, self.canary = form, folder / form.file, canary
        self.results: Counter[str] = Counter()

    def read(self, content: bytes) -> None:
        """AssertionError for an error that is not one clear sentence; whatever else is raised is a defect as it is."""
        self.file.unlink(missing_ok=True)  # mapped pages of the last one may still be looked at
        self.file.write_bytes(content)
        if self.canary is not None:
            self.canary.armed = True
            signal.alarm(SECONDS)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.form.read(self.file)
            self.results["answers"] += 1
        except DataError as error:
            for text in str(error).split("\n") if self.form.lines else [str(error)]:
                check_sentence(text, self.file)
            self.results["errors"] += 1
        finally:
            if self.canary is not None:
                self.canary.armed = False
                signal.alarm(0)


def check_sentence(text: str, file: Path) -> None:
    assert str(file.parent) in text, f"names no file: {text!r}"
    assert "\n" not in text, f"several lines: {text!r}"
    assert len(text) < 1200, f"very long: {text!r}"
    text.encode("utf-8")


def limit_memory() -> None:
    """From here on, this process may take so much more than it has."""
    status = Path("/proc/self/status").read_text()
    now = int(status.split("VmSize:")[1].split()[0]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (now + MOST_BYTES, resource.RLIM_INFINITY))
