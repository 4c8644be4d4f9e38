"""Checkpoint files as the papers published them, read without running code and fitted to our networks.

They differ in wrapping ("state_dict", a "module." prefix from data-parallel training), in the spelling of weight norm
(`weight_g`/`weight_v` up to torch 1, parametrizations later) and in whether position tables are stored; all are taken.
Anything that does not fit ends in a DataError that names the first wrong entries and the file.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from faces.errors import DataError
from models.positions import periodic_encoding
from models.torch_file import check_torch_file

_OLD_WEIGHT_NORM = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}


class OfficialState(dict[str, Tensor]):
    """A state dict that knows its file, so that errors can name it."""

    source: str = "the given state dict"


def read_official(path: Path) -> OfficialState:
    """The tensors of a .pth, .pth.tar or .pt file, on the CPU, unwrapped.

    DataError where the file is absent, holds anything but tensors and plain values, or holds no state dict.
    """
    loaded = read_torch(path)
    wrapped = loaded.get("state_dict", loaded) if isinstance(loaded, Mapping) else None
    return state_within(wrapped, path)


def read_torch(path: Path) -> Any:
    """All that a PyTorch file holds, on the CPU. DataError as `read_official` has it."""
    try:
        check_torch_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise DataError(f"checkpoint {path} does not exist; give the path of a published file (.pth, .tar)") from error
    except pickle.UnpicklingError as error:
        raise DataError(f"{path} is no checkpoint of tensors alone, or is damaged; it was not loaded") from error
    except DataError:
        raise
    except Exception as error:  # a damaged file makes torch raise anything
        raise DataError(f"{path} cannot be read as a checkpoint ({_first_line(error)}); download it again") from error


def state_within(found: Any, path: Path, part: str = "") -> OfficialState:
    """A part of what a file holds, as a state dict. part: what it stands under, where the file holds several."""
    if not isinstance(found, Mapping) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        under = f" under {part!r}" if part else ""
        raise DataError(f"{path} holds no state dict{under} (a mapping from parameter names to tensors)")
    for name, tensor in found.items():
        _check_stored(str(name), tensor, path)
    state = OfficialState(found)
    state.source = f"{part} of {path}" if part else str(path)
    return state


def fit(network: nn.Module, state: Mapping[str, Tensor], tables: Mapping[str, int | None]) -> None:
    """Load a published state dict into a network of ours.

    tables: name of a position table that the file may hold → its period in frames, None where it never repeats. We
    compute those; one that is there must agree, since it tells the data set a checkpoint was made for.
    """
    source = getattr(state, "source", OfficialState.source)
    found = {modern_name(name): value for name, value in state.items()}
    for name, period in tables.items():
        _check_table(found.pop(name, None), name, period, source)
    _compare(network.state_dict(), found, f"{source} does not fit this network")
    network.load_state_dict(found)


def modern_name(name: str) -> str:
    """A parameter's name without "module." and in the newer spelling of weight norm."""
    stem, dot, last = name.removeprefix("module.").rpartition(".")
    return stem + dot + _OLD_WEIGHT_NORM.get(last, last)


def published_name(name: str) -> str:
    """The name that the published files use: the reverse of `modern_name`."""
    for old, new in _OLD_WEIGHT_NORM.items():
        name = re.sub(rf"{re.escape(new)}$", old, name)
    return name


def _check_stored(name: str, tensor: Tensor, path: Path) -> None:
    """DataError for a tensor that is not simply there: one number can be made to stand for any count of them."""
    plain = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
    if not plain or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise DataError(f"{path} is refused: {name[:80]!r} is larger than what the file holds of it")


def _compare(own: Mapping[str, Tensor], found: Mapping[str, Tensor], complaint: str) -> None:
    shapes = [
        f"{published_name(name)} is {tuple(found[name].shape)} instead of {tuple(value.shape)}"
        for name, value in own.items()
        if name in found and found[name].shape != value.shape
    ]
    wrong = [
        _first("missing", own.keys() - found.keys(), own),
        _first("unknown", found.keys() - own.keys(), found),
        "; ".join(shapes[:3]) + (f" and {len(shapes) - 3} more" if len(shapes) > 3 else ""),
    ]
    if any(wrong):
        raise DataError(f"{complaint}: {'; '.join(filter(None, wrong))}. Is it another model's, or another data set's?")


def _first(what: str, names: Iterable[str], order: Mapping[str, Tensor]) -> str:
    listed = [published_name(name) for name in order if name in set(names)]
    rest = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return f"{what} {', '.join(listed[:3])}{rest}" if listed else ""


def _check_table(table: Tensor | None, name: str, period: int | None, source: str) -> None:
    if table is None or _is_sinusoid(table, period):
        return
    if period is None:
        raise DataError(f"{source} is damaged or another model's: its {name} is not the usual table of sinusoids")
    raise DataError(
        f"{source} was made with another period than {period} (its {name} differs); set `period` to its own"
    )


def _is_sinusoid(table: Tensor, period: int | None) -> bool:
    """Whether a table of any number of axes, the last one channels, holds the sinusoids."""
    if table.ndim < 2 or not table.numel():
        return False
    rows = table.float().reshape(-1, table.shape[-1])
    return torch.allclose(rows, periodic_encoding(len(rows), rows.shape[1], period or len(rows)), atol=1e-3)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
