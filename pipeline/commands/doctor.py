"""`pipe doctor`: what this machine can do, and what to install where it cannot."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from importlib import metadata

from pipeline.progress import size_text, table
from pipeline.workspace import Workspace

_CORE = (
    "numpy",
    "h5py",
    "torch",
    "transformers",
    "soundfile",
    "soxr",
    "av",
    "numba",
    "trimesh",
    "safetensors",
    "matplotlib",
)

Finding = tuple[str, str, str]
"""(what, "ok" | "missing" | "broken" | "absent", remark)"""


def doctor(workspace: Workspace) -> bool:
    """Print the findings; True when all that is needed works."""
    findings = [
        ("python", "ok", platform.python_version()),
        *_libraries(),
        *_devices(),
        *_extras(),
        *_places(workspace),
    ]
    print(table(findings))
    broken = [what for what, state, _ in findings if state in ("missing", "broken")]
    print(f"needs attention: {', '.join(broken)}" if broken else "everything that is needed works")
    return not broken


def _libraries() -> Iterator[Finding]:
    for name in _CORE:
        try:
            importlib.import_module(name)
        except ImportError as error:
            yield name, "missing", f"{error}; reinstall with: pip install -e ."
        except OSError as error:
            yield name, "broken", str(error).splitlines()[0]
        else:
            yield name, "ok", metadata.version(name)


def _devices() -> Iterator[Finding]:
    try:
        import torch
    except (ImportError, OSError):
        return
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            yield f"cuda:{index}", "ok", torch.cuda.get_device_name(index)
    else:
        yield "gpu", "absent", "runs on the CPU; training at the papers' sizes wants a GPU"


def _extras() -> Iterator[Finding]:
    """Optional packages; absent is fine, half-working is told."""
    for name, use in (("pyrender", "second renderer, extra [gl]"), ("torchaudio", "not needed")):
        try:
            importlib.import_module(name)
        except ImportError:
            yield name, "absent", use
        except Exception as error:  # whatever a GL or CUDA library throws while loading
            yield name, "absent", f"installed, but does not load here ({type(error).__name__}); {use}"
        else:
            yield name, "ok", metadata.version(name)


def _places(workspace: Workspace) -> Iterator[Finding]:
    root = workspace.store.root
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            free = shutil.disk_usage(root).free
        yield "store", "ok", f"{root}, {size_text(free)} free"
    except OSError as error:
        yield "store", "broken", f"{root} cannot be written to ({error.strerror}); choose another with --store"
    yield "processors", "ok", str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
