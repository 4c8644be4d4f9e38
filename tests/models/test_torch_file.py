"""Checkpoints: what PyTorch would have run, filled or unpacked is refused before it sees the file."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from faces.errors import DataError
from models.official import read_official

STATE = {"a": torch.arange(6.0).reshape(2, 3)}


class Calls:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def rewritten(file: Path, inner: bytes, kind: int = zipfile.ZIP_STORED, **more: bytes) -> Path:
    """A checkpoint with another pickle in it."""
    stream = io.BytesIO()
    torch.save(STATE, stream)
    with zipfile.ZipFile(stream) as archive, zipfile.ZipFile(file, "w", kind) as out:
        for name in archive.namelist():
            out.writestr(name, inner if name.endswith("data.pkl") else archive.read(name))
        for name, content in more.items():
            out.writestr(name, content)
    return file


@pytest.mark.parametrize(
    "thing", [Calls(bytearray, 10**12), Calls(print, "x"), Calls(torch.Tensor, 10**9), Calls(eval, "1")]
)
def test_constructors_and_functions(tmp_path: Path, thing: Calls) -> None:
    torch.save({"a": torch.zeros(1), "b": thing}, tmp_path / "a.pth")
    with pytest.raises(DataError, match=r"a\.pth is no checkpoint of tensors alone: it asks for"):
        read_official(tmp_path / "a.pth")


def test_other_ways_to_name_a_function(tmp_path: Path) -> None:
    for protocol in (4, 5):
        inner = pickle.dumps(Calls(print, "x"), protocol)
        with pytest.raises(DataError, match="no checkpoint of tensors alone: it asks for 'STACK_GLOBAL'"):
            read_official(rewritten(tmp_path / "a.pth", inner))
    with pytest.raises(DataError, match="asks for 'os system'"):
        read_official(rewritten(tmp_path / "a.pth", b"\x80\x02(ios\nsystem\n."))


def test_bombs_and_damage(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="200 times its own size"):
        read_official(rewritten(tmp_path / "a.pth", b"N.", zipfile.ZIP_DEFLATED, bomb=bytes(40 << 20)))
    with pytest.raises(DataError, match=r"a\.pth is damaged"):
        read_official(rewritten(tmp_path / "a.pth", b"\x80\x02\xff"))
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("x", b"")
    with pytest.raises(DataError, match=r"holds no data\.pkl"):
        read_official(tmp_path / "a.pth")


def test_a_tensor_that_is_larger_than_its_numbers(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1).expand(10**12)}, tmp_path / "a.pth")
    with pytest.raises(DataError, match="'a' is larger than what the file holds of it"):
        read_official(tmp_path / "a.pth")
    torch.save({"a": torch.eye(3).to_sparse()}, tmp_path / "a.pth")
    with pytest.raises(DataError, match="no checkpoint of tensors alone"):
        read_official(tmp_path / "a.pth")


def test_files_from_before_there_were_archives(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(DataError, match=r"none of PyTorch 1\.6 or later.*save its state dict anew"):
        read_official(tmp_path / "a.pth")


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.int64, torch.bfloat16])
def test_state_dicts_are_read(tmp_path: Path, kind: torch.dtype) -> None:
    state = {"a": STATE["a"].to(kind), "p": torch.nn.Parameter(torch.zeros(2))}
    torch.save({"state_dict": state, "epoch": 7, "lr": 1e-4, "size": torch.Size([3])}, tmp_path / "a.pth")
    assert torch.equal(read_official(tmp_path / "a.pth")["a"], state["a"])
