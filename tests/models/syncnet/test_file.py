"""A SyncNet's file, as PyTorch writes it and as it did in 2017; what is another's, damaged or crafted is refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from faces.errors import DataError
from models.old_torch_file import is_old, read_old
from models.syncnet.file import read_syncnet
from models.syncnet.sizes import SOURCE
from tests.models.syncnet.narrow import NARROW, narrow, write_narrow

OLD: dict[str, Any] = {"_use_new_zipfile_serialization": False}


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("how", [OLD, {}], ids=["old", "new"])
def test_a_file_gives_the_network_that_is_in_it(tmp_path: Path, how: dict[str, Any]) -> None:
    network = narrow(3)
    torch.save(network.state_dict(), tmp_path / "a.model", **how)
    assert is_old(tmp_path / "a.model") == bool(how)
    found = read_syncnet(tmp_path / "a.model")
    assert found.sizes == NARROW
    assert same(found, network)
    assert not found.training
    assert not any(value.requires_grad for value in found.parameters())


def test_other_writings_of_the_same_names(tmp_path: Path) -> None:
    """A wrapped network, one in half precision, and one from before norms counted."""
    network = narrow(1)
    state = network.state_dict()
    few = {name: value for name, value in state.items() if "num_batches" not in name}
    for number, given in enumerate(
        [{f"module.{name}": value for name, value in state.items()}, {f"net.S.{n}": v for n, v in few.items()}, few]
    ):
        torch.save(given, tmp_path / f"{number}.pt", **OLD if number else {})
        assert same(read_syncnet(tmp_path / f"{number}.pt"), network)
    torch.save({name: value.half() for name, value in few.items()}, tmp_path / "half.pt", **OLD)
    halved = read_syncnet(tmp_path / "half.pt").state_dict()
    assert torch.equal(halved["netfcaud.0.weight"], state["netfcaud.0.weight"].half().float())


def refused(file: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_syncnet(file)
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)
    return str(caught.value)


def test_another_network(tmp_path: Path) -> None:
    file, state = tmp_path / "a.pt", narrow().state_dict()
    torch.save({"encoder.weight": torch.zeros(2)}, file)
    said = refused(file)
    assert (
        f"is no SyncNet, it lacks netcnnaud.0.weight, netcnnaud.4.weight, netcnnaud.8.weight and 13 more: {SOURCE}"
        in said
    )
    torch.save({name: value for name, value in state.items() if name != "netfclip.1.bias"}, file)
    assert "it lacks netfclip.1.bias; take" in refused(file)
    torch.save(state | {"netcnnlip.4.weight": torch.zeros(3, 2, 1, 7, 7)}, file)
    assert "has netcnnlip.4.weight of (3, 2, 1, 7, 7) instead of (3, 2, 1, 5, 5)" in refused(file)
    torch.save(state | {"head.bias": torch.zeros(1)}, file)
    assert "has an unknown head.bias" in refused(file)
    torch.save(state | {"netfcaud.0.bias": torch.full((6,), float("nan"))}, file)
    assert "netfcaud.0.bias holds what are no numbers" in refused(file)
    torch.save(state | {"netfcaud.0.bias": torch.zeros(6, dtype=torch.long)}, file)
    assert "netfcaud.0.bias holds what are no numbers" in refused(file)


def test_what_a_file_claims_takes_no_memory(tmp_path: Path) -> None:
    """Two thin layers, between which a wide one would lie."""
    state = narrow().state_dict()
    wide = {"netcnnaud.0.weight": torch.zeros(300_000, 1, 1, 1), "netcnnaud.4.weight": torch.zeros(300_000, 1, 1, 1)}
    torch.save(state | wide, tmp_path / "a.pt")
    assert "has netcnnaud.0.weight of (300000, 1, 1, 1) instead of (300000, 1, 3, 3)" in refused(tmp_path / "a.pt")


def test_absent_and_none_at_all(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "a.pt")
    (tmp_path / "a.pt").write_bytes(b"text")
    assert "cannot be read as a checkpoint" in refused(tmp_path / "a.pt")


def test_old_files_that_are_cut_short_or_changed(tmp_path: Path) -> None:
    content = write_narrow(tmp_path / "a.model").read_bytes()
    file = tmp_path / "b.model"
    for kept in (30, 200, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:kept])
        assert "damaged" in refused(file)
    names = content.index(b"netfclip.3.weight")
    file.write_bytes(content[:names] + b"\xff" * 10 + content[names + 10 :])
    refused(file)


class Calls:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("thing", [Calls(bytearray, 10**12), Calls(print, "x"), Calls(eval, "1")])
def test_old_files_that_would_run_something(tmp_path: Path, thing: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"a": torch.zeros(1), "b": thing}, tmp_path / "a.pth", **OLD)
    assert "is no checkpoint of tensors alone: it asks for" in refused(tmp_path / "a.pth")
    content = write_narrow(tmp_path / "b.model").read_bytes()
    version = content.index(b"\x80\x02M\xe9\x03.")
    (tmp_path / "c.pth").write_bytes(content[:version] + pickle.dumps(thing, 2) + content[version:])
    assert "it asks for" in refused(tmp_path / "c.pth")
    assert capsys.readouterr().out == ""


def test_old_files_that_claim_more_than_they_hold(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1).expand(10**12)}, tmp_path / "a.pth", **OLD)
    with pytest.raises(DataError, match="a tensor is larger than its storage"):
        read_old(tmp_path / "a.pth")
    torch.save([torch.zeros(1)], tmp_path / "b.pth", **OLD)
    with pytest.raises(DataError, match="holds no state dict"):
        read_old(tmp_path / "b.pth")


def test_old_files_with_tensors_that_share_numbers(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    state = {"a": base, "b": base.T, "c": base[1:, ::2], "d": torch.tensor(3), "e": torch.zeros(0, 2)}
    state |= {"f": torch.nn.Parameter(torch.ones(2))}
    torch.save(state, tmp_path / "a.pth", **OLD)
    found = read_old(tmp_path / "a.pth")
    assert list(found) == list(state)
    for name, value in state.items():
        assert torch.equal(found[name], value)
        assert found[name].dtype == value.dtype
