"""`pipe run --audit`: tells which files a stage read that it does not declare, so that their change would go unseen.

Python's own audit hook reports every file that is opened while a stage runs. What belongs to the step is passed over:
the declared parts of its inputs, its work folder, sources and pretrained weights, code, Python with its libraries, what
the system and drawing libraries read for themselves, and files that were written during the run. All else is told at
the step's end, or fails it where PIPE_AUDIT is "error". Files that a library opens in C and other processes go unseen.
"""

from __future__ import annotations

import contextlib
import os
import site
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cache.work import Work
from pipeline.errors import StageError
from pipeline.pretrained import hub_folder
from pipeline.recipe import Recipe, Step
from pipeline.stage import Input
from pipeline.workspace import PROJECT

MOST = 20
"""Files told of one step; the rest is a number."""

_SYSTEM = (
    "/proc",
    "/sys",
    "/dev",
    "/etc",
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/sbin",
    "/run",
    "/var",
    "/System",
    "/Library",
)
_CODE = (".py", ".pyc", ".pyi", ".so", ".pyd", ".dylib", ".dll", ".nbi", ".nbc")
_PACKAGING = (".egg-info", ".dist-info")
_CACHES = ("matplotlib", "fontconfig", "numba", "torch", "triton", "facepipe")
_GRAIN_S = 0.01
"""The clock of files may lag behind ours by a tick."""


@dataclass
class Watch:
    """What one running step may read, and what it did read."""

    folders: tuple[str, ...]
    store: str
    started: float
    read: dict[str, None] = field(default_factory=dict)

    def undeclared(self) -> list[str]:
        """Files that were read and are none of the step's own, in order."""
        return [path for path in map(_absolute, self.read) if self._is_undeclared(path)]

    def _is_undeclared(self, path: str) -> bool:
        real = os.path.realpath(path)
        if real.endswith(_CODE) or "__pycache__" in real or _is_below(real, self.folders):
            return False
        if os.path.dirname(real).endswith(_PACKAGING):  # importlib.metadata looks through them, beside our code too
            return False
        if _is_below(real, _libraries()) or (not _is_below(real, _OURS) and _is_below(real, _SYSTEM)):
            return False
        try:
            status = os.stat(real)
        except OSError:
            return False  # it was never there, or has gone: a temporary file
        # Artifacts may be younger than this step and still none of its making.
        old = max(status.st_mtime, status.st_ctime) < self.started - _GRAIN_S or _is_below(real, [self.store])
        return old and os.path.isfile(real)


def wished(flag: bool) -> bool:
    """Whether to watch: by the option, or by PIPE_AUDIT."""
    return flag or os.environ.get("PIPE_AUDIT", "") not in ("", "0")


@contextlib.contextmanager
def watching(step: Step, recipe: Recipe, work: Work, inputs: Mapping[str, Input]) -> Iterator[Watch]:
    """Note what is opened while the block runs. Steps that overlap in one process may read each other's."""
    watch = Watch(_own(step, recipe, work, inputs), os.path.realpath(work.path.parent.parent), time.time())
    _install()
    for other in _active:
        other.folders, watch.folders = (*other.folders, *watch.folders), (*watch.folders, *other.folders)
    _active.append(watch)
    try:
        yield watch
    finally:
        _active.remove(watch)


def sentences(step: str, watch: Watch) -> Iterator[str]:
    """A warning for each file. StageError instead where PIPE_AUDIT says so."""
    found = watch.undeclared()
    if found and os.environ.get("PIPE_AUDIT") == "error":
        raise StageError(f"reads {', '.join(found[:MOST])}, which it does not declare; name that in its sources()")
    for path in found[:MOST]:
        yield (
            f"{step} read {path}, which it does not declare: a change of that file would go unseen; "
            "name it in the stage's sources()"
        )
    if len(found) > MOST:
        yield f"{step} read {len(found) - MOST} more files that it does not declare"


def _own(step: Step, recipe: Recipe, work: Work, inputs: Mapping[str, Input]) -> tuple[str, ...]:
    sources = step.stage.sources()
    root = work.path.parent.parent  # of the store: items are taken over from other work and artifacts of the stage
    given: list[str | Path] = [root / "work", root / work.stage, *sources.files.values()]
    for slot, one in inputs.items():
        given += [one.path / top for top in step.stage.uses(slot)] or [one.path]
    for source in filter(None, (*sources.pretrained.values(), *step.stage.rereads(recipe.upstream(step)))):
        folder = Path(source).expanduser()
        given.append(folder if folder.exists() else hub_folder(source))
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    caches = [os.path.join(home, name) for name in _CACHES]
    asked = [os.environ[name] for name in ("MPLCONFIGDIR", "NUMBA_CACHE_DIR", "PIPE_STATE") if os.environ.get(name)]
    settings = [os.path.join(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"), "matplotlib")]
    return tuple(os.path.realpath(path) for path in (*given, *caches, *asked, *settings))


_active: list[Watch] = []
_installed = {"hook": False}
_OURS = (os.path.realpath(PROJECT),)


def _install() -> None:
    """A hook can never be taken out again, so there is one, and it does next to nothing while no step is watched."""
    if not _installed["hook"]:
        _installed["hook"] = True
        sys.addaudithook(_heard)


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not _active:
        return
    path, mode, flags = arguments
    if isinstance(path, str | bytes | os.PathLike) and _reads(mode, flags):
        name = os.fsdecode(path)
        for watch in _active:
            watch.read[name] = None


def _reads(mode: str | None, flags: int) -> bool:
    if mode is not None:
        return "r" in mode or "+" in mode
    return flags & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR) != os.O_WRONLY and not flags & os.O_CREAT


def _absolute(path: str) -> str:
    return os.path.abspath(path)


def _is_below(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(folder + os.sep) for folder in folders)


def _libraries() -> tuple[str, ...]:
    """Folders of the interpreter and of installed libraries."""
    found = [sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values(), *site.getsitepackages()]
    found += [site.getusersitepackages(), *(path for path in sys.path if path.endswith("-packages"))]
    ours = _OURS[0]
    real = dict.fromkeys(os.path.realpath(path) for path in found if path)
    return tuple(path for path in real if path != os.sep and not _is_below(ours, [path]))
