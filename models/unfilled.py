"""Building a network whose weights are about to be read from a file: nothing is drawn at random beforehand.

Drawing the 94 million weights of a speech encoder takes a second and more, and the file replaces them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# The other functions of `nn.init` end in these, but for `trunc_normal_`: it draws again until what it reads fits its
# bounds, so a network that starts so must not be built here.
_DRAWS: frozenset[Callable[..., Any]] = frozenset(
    (nn.init.uniform_, nn.init.normal_, nn.init.kaiming_uniform_, Tensor.uniform_, Tensor.normal_)
)


class unfilled(TorchFunctionMode):
    """`with unfilled(): network = …`: parameters stay whatever lies in memory, and must be loaded, every one of them.

    Only draws into parameters are left out; buffers and whatever is computed are as always. Other than the device
    "meta", tables that no file holds are real. Holds for this thread alone.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func in _DRAWS:
            tensor = args[0] if args else given["tensor"]
            if isinstance(tensor, nn.Parameter):
                return tensor
        return func(*args, **given)


def take_over(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Make the tensors of a state dict, which may be mapped from a file, the network's own without copying them.

    RuntimeError, as `load_state_dict` raises it, where names or shapes are not the network's, all of them.
    """
    own = network.state_dict()
    with torch.no_grad():
        typed = {name: value.to(own[name].dtype) if name in own else value for name, value in state.items()}
    network.load_state_dict(typed, assign=True)
