"""What moves the weights, and the moving average that may stand for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from stages.train import Params


def make_optimiser(module: torch.nn.Module, options: Params) -> torch.optim.Optimizer:
    """Over what is to be learned; the settings that no parameter names are PyTorch's own, as published.

    One kernel for all tensors where torch has it for the device, else one for each operation.
    """
    learned = [parameter for parameter in module.parameters() if parameter.requires_grad]
    try:
        return _make(learned, options, fused=True)
    except RuntimeError:
        return _make(learned, options, foreach=True)


def _make(learned: list[torch.nn.Parameter], options: Params, **how: Any) -> torch.optim.Optimizer:
    if options.optimiser == "adamw":
        return torch.optim.AdamW(learned, lr=options.lr, weight_decay=options.weight_decay, **how)
    return torch.optim.Adam(learned, lr=options.lr, **how)


class Average:
    """The exponential moving average of the trained weights; with a decay of 0 it is the weights themselves.

    The decay rises as (1 + n)/(10 + n) over steps n until it reaches its value, so that the drawn weights of the start
    are soon forgotten.
    """

    def __init__(self, module: torch.nn.Module, decay: float) -> None:
        self.module = module
        self.decay = decay
        self.live = [parameter for parameter in module.parameters() if parameter.requires_grad and decay > 0]
        self.kept = [parameter.detach().clone() for parameter in self.live]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """After step n of the optimiser, from 1."""
        if self.live:
            get_ema_multi_avg_fn(min(self.decay, (1 + step) / (10 + step)))(self.kept, self.live, step)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Inside, the network has the averaged weights, and is in eval mode; afterwards it trains on."""
        self.swap()
        self.module.eval()
        try:
            yield
        finally:
            self.swap()
            self.module.train()

    @torch.no_grad()
    def swap(self) -> None:
        for parameter, kept in zip(self.live, self.kept, strict=True):
            parameter.data, kept.data = kept.data, parameter.data

    def state_dict(self) -> list[torch.Tensor]:
        return self.kept

    @torch.no_grad()
    def load_state_dict(self, state: list[torch.Tensor]) -> None:
        """ValueError where there are others than were kept, or of another shape."""
        if [tuple(value.shape) for value in state] != [tuple(value.shape) for value in self.kept]:
            raise ValueError("the averaged weights are of another network")
        for kept, value in zip(self.kept, state, strict=True):
            kept.copy_(value)
