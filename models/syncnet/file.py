"""A SyncNet from its file: a plain state dict, as its authors wrote it with the PyTorch of that time or newer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from faces.errors import DataError
from models.official import read_official
from models.old_torch_file import is_old, read_old
from models.syncnet.net import SyncNet
from models.syncnet.sizes import PARTS, SOURCE, Sizes, sizes_of

_OWN = re.compile(rf"^(?:\w+\.)*?({'|'.join(PARTS)})\.")
"""A name, whatever the network was a part of when it was written ("module.", say)."""
COUNTER = "num_batches_tracked"
"""Of norms: what training counts, and files from before PyTorch 0.4.1 lack."""


def read_syncnet(path: Path) -> SyncNet:
    """The network of a file, in eval mode, on the CPU. DataError where the file is absent, damaged or another's."""
    state = read_old(path) if is_old(path) else read_official(path)
    given = {_OWN.sub(r"\1.", name): value for name, value in state.items() if not name.endswith(COUNTER)}
    sizes = sizes_of({name: tuple(value.shape) for name, value in given.items()}, str(path))
    network = _unfilled(sizes)
    wanted = {name: value.shape for name, value in network.state_dict().items() if not name.endswith(COUNTER)}
    _compare(wanted, given, path)
    counters = {name: torch.tensor(0) for name in network.state_dict() if name.endswith(COUNTER)}
    network.load_state_dict({name: given[name].float() for name in wanted} | counters, assign=True)
    return network.requires_grad_(False).eval()


def _unfilled(sizes: Sizes) -> SyncNet:
    """Without memory for its weights: what a file claims of them may be larger than it is."""
    with torch.device("meta"):
        return SyncNet(sizes)


def _compare(wanted: Mapping[str, torch.Size], given: Mapping[str, Tensor], path: Path) -> None:
    problems = [f"lacks {name}" for name in wanted if name not in given]
    problems += [f"has an unknown {name[:80]}" for name in given if name not in wanted]
    problems += [
        f"has {name} of {tuple(given[name].shape)} instead of {tuple(shape)}"
        for name, shape in wanted.items()
        if name in given and given[name].shape != shape
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise DataError(f"{path} is no SyncNet: it {', '.join(problems[:3])}{more}; {SOURCE}")
    for name in wanted:
        if not given[name].is_floating_point() or not given[name].isfinite().all():
            raise DataError(f"{path} is damaged: {name} holds what are no numbers; {SOURCE}")
