"""A SyncNet of a few channels and drawn weights, in the published form."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from models.syncnet.net import SyncNet
from models.syncnet.sizes import Sizes

NARROW = Sizes(hearing=(2, 3, 4, 3, 3, 4), looking=(2, 3, 4, 3, 3, 5), hidden=6, features=8)


def narrow(seed: int = 0, sizes: Sizes = NARROW) -> SyncNet:
    """In eval mode. Its norms have means and variances, so that a file that lacks them would show; pictures and
    coefficients are as large as real ones, and so the first norms'."""
    generator = torch.Generator().manual_seed(seed)
    network = SyncNet(sizes)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
            fan = module.weight[0].numel()
            module.weight.data = torch.randn(module.weight.shape, generator=generator) * (2 / fan) ** 0.5
            module.bias.data = 0.1 * torch.randn(module.bias.shape, generator=generator)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            module.running_mean = 0.1 * torch.randn(module.num_features, generator=generator)
            module.running_var = 0.5 + torch.rand(module.num_features, generator=generator)
    network.netcnnlip[1].running_var *= 1e4
    network.netcnnaud[1].running_var *= 1e2
    return network.eval()


def write_narrow(file: Path, seed: int = 0, sizes: Sizes = NARROW) -> Path:
    """As the authors write theirs: a plain state dict, by a PyTorch from before 1.6."""
    torch.save(narrow(seed, sizes).state_dict(), file, _use_new_zipfile_serialization=False)
    return file
