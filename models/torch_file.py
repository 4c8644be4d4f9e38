"""What is looked at in a PyTorch file before PyTorch opens it.

`torch.load(weights_only=True)` runs no code, but it calls constructors with the numbers that a file names (a bytearray
of a terabyte), and unpacks whatever its archive claims. So the names that the pickle inside asks for are held against a
list of those that a state dict needs, and an archive against its own size. Files from before PyTorch 1.6, which are no
archives and declare their sizes nowhere, are refused with the way to save them anew.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faces.archives import Archive
from faces.errors import DataError, said
from faces.lfs import LFS_POINTER, refuse_pointer

MOST_PICKLE = 64 << 20
"""Bytes of the names and shapes in a file."""
ALLOWED = re.compile(
    r"collections OrderedDict|torch\._utils _rebuild_(tensor_v2|parameter)|torch \w+Storage"
    r"|torch\.storage UntypedStorage|torch (Size|device|float\d+|int\d+|bfloat16|bool)|_codecs encode"
)
NAMED, UNNAMED = "GLOBAL", {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"}


@contextmanager
def told_of_checkpoint(path: Path) -> Iterator[None]:
    """Turn whatever a file that cannot be opened, or is damaged, raises into a `DataError` that names it."""
    try:
        yield
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"checkpoint {path} cannot be read: {error.strerror or said(error)}") from error
    except Exception as error:  # a damaged pickle makes the reader raise anything
        raise DataError(f"{path} is damaged ({said(error)}); it was not loaded; download it again") from error


def check_torch_file(path: Path) -> None:
    """DataError for a file that `torch.load` should not see. FileNotFoundError where there is none."""
    with open(path, "rb") as stream:
        head = stream.read(len(LFS_POINTER))
    refuse_pointer(path, head)
    if not head.startswith(b"PK\3\4"):
        raise DataError(
            f"{path} cannot be read as a checkpoint (it is none of PyTorch 1.6 or later); download it again, or if it "
            "is older load it with the PyTorch that you trust it to and save its state dict anew"
        )
    with Archive.open(path) as archive:
        pickles = [name for name in archive.names if name.endswith("data.pkl")]
        if len(pickles) != 1:
            raise DataError(f"{path} cannot be read as a checkpoint (it holds no data.pkl); download it again")
        _check_names(path, archive.read(pickles[0], limit=MOST_PICKLE))


def _check_names(path: Path, content: bytes) -> None:
    try:
        for step, argument, _ in pickletools.genops(content):
            if step.name in UNNAMED or (step.name == NAMED and not ALLOWED.fullmatch(str(argument))):
                raise DataError(
                    f"{path} is no checkpoint of tensors alone: it asks for {str(argument or step.name)[:80]!r}; it "
                    "was not loaded"
                )
    except DataError:
        raise
    except Exception as error:  # a damaged pickle makes the reader raise anything
        raise DataError(f"{path} is damaged ({said(error)}); it was not loaded; download it again") from error
