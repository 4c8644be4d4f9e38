"""`python -m tests.stages.group_partner PORT`: process 1 of two, which does what the tests of `Processes` expect."""

from __future__ import annotations

import os
import sys

import torch
from torch import nn

from stages.train.processes import Processes
from stages.train.rendezvous import Address, connect


def layers() -> nn.ModuleList:
    """A layer that both use, one for each process alone, one for nobody."""
    torch.manual_seed(0)
    return nn.ModuleList(nn.Linear(3, 2) for _ in range(4))


def share(rank: int) -> torch.Tensor:
    """Three clips for process 0, five for process 1."""
    return torch.linspace(-1, 1, 24).reshape(8, 3)[slice(0, 3) if rank == 0 else slice(3, 8)]


def backward(network: nn.ModuleList, clips: torch.Tensor, own: int) -> None:
    (network[0](clips).square().sum() + network[own](clips).sum()).backward()


def main() -> None:
    group = Processes(connect(Address("127.0.0.1", int(sys.argv[1]))), 1, 2, "cpu")
    group.total(torch.tensor([2.5, -1.0], dtype=torch.float64))
    group.gather({"rank": 1, "state": (3, [4, 5]), "tensor": torch.arange(3)})
    network = layers()
    backward(network, share(1), own=2)
    group.sum_gradients(network.parameters())
    network.zero_grad()
    group.sum_gradients(network.parameters())  # no clip for this process
    group.total(torch.zeros(1, dtype=torch.float64))
    os._exit(0)  # as one that is killed: a group that nobody left may abort the interpreter's own end


if __name__ == "__main__":
    main()
