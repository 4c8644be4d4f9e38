"""A GPU that is only pretended, to find what would go wrong on a real one where none is at hand.

Inside `pretended_gpu()` tensors may be sent to "cuda", or inside `pretended_gpu("mps")` to that. Their numbers stay in
memory and are computed there, but they say that they lie on the GPU, and what a GPU refuses is refused: an operation on
tensors of both places, a generator of the other place, a look at the numbers by NumPy, and of Apple's float64. Half
precision, speed and memory are nothing that it can tell.

A far tensor is a wrapper whose device is "meta" to PyTorch, because its engine of gradients knows what to do with those
without a driver; two modes, of functions and of operations, make a GPU of it. Both hold for the calling thread alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
import torch.utils.checkpoint
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

KINDS = ("cuda", "mps")
INNER = torch.device("meta")
aten = torch.ops.aten
INDEXED = (aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._index_put_impl_.default)
COPIES = (aten.copy_.default, aten._to_copy.default)
REFUSED = "can't convert {} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first."


class RefusedError(RuntimeError):
    """An operation that a GPU would refuse."""


class Far(Tensor):
    """A tensor of the pretended GPU. near: its numbers. place: which GPU there is."""

    near: Tensor
    place: torch.device

    @staticmethod
    def __new__(cls, near: Tensor) -> Far:
        if cls.place.type == "mps" and near.dtype in (torch.float64, torch.complex128):
            raise RefusedError("MPS has no float64")
        made: Far = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            near.size(),
            strides=near.stride(),
            storage_offset=near.storage_offset(),
            dtype=near.dtype,
            layout=near.layout,
            device=INNER,
        )
        made.near = near
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _operate(func, args, dict(kwargs or {}))


@contextmanager
def pretended_gpu(kind: str = "cuda") -> Iterator[torch.device]:
    """A block in which there is one GPU, "cuda" or "mps"."""
    Far.place = torch.device(kind, 0)
    asked: dict[str, Callable[..., Any]] = {
        "is_available": lambda: kind == "cuda",
        "is_initialized": lambda: False,
        "device_count": lambda: int(kind == "cuda"),
        "current_device": lambda: 0,
        "empty_cache": lambda: None,
        "get_rng_state_all": list,
        "manual_seed_all": lambda seed: None,
        "max_memory_allocated": lambda *_: 0,
        "mem_get_info": lambda *_: (1 << 34, 1 << 34),
        "reset_peak_memory_stats": lambda *_: None,
        "synchronize": lambda *_: None,
    }
    of_apple: dict[str, Callable[..., Any]] = {
        "driver_allocated_memory": lambda: 0,
        "get_rng_state": lambda: torch.zeros(1, dtype=torch.uint8),
        "set_rng_state": lambda state: None,
        "_is_in_bad_fork": lambda: True,  # who seeds all devices leaves it alone
    }
    with ExitStack() as block:
        for place, answers in ((torch.cuda, asked), (torch.mps, of_apple)):
            for name, answer in answers.items():
                block.enter_context(mock.patch.object(place, name, answer))
        block.enter_context(mock.patch.object(torch.backends.mps, "is_available", return_value=kind == "mps"))
        # Tensors made in it have no place for what a wrapper needs.
        block.enter_context(mock.patch.object(torch, "inference_mode", torch.no_grad))
        block.enter_context(mock.patch.object(Tensor, "pin_memory", lambda self, *_: self))
        # A mode does not hold inside of what it handles, and this would have it handle a whole way back.
        block.enter_context(mock.patch.object(torch.autograd, "has_torch_function", return_value=False))
        checks = torch.utils.checkpoint._allowed_determinism_checks_to_fns
        block.enter_context(mock.patch.dict(checks, {"default": lambda _: None}))
        block.enter_context(_Functions())
        block.enter_context(_Operations())
        yield Far.place


class _Functions(TorchFunctionMode):
    """What is decided before an operation begins: the word for the GPU, and what a tensor says of its place."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given, first = dict(kwargs or {}), args[0] if args else None
        if isinstance(first, Far):
            if func == Tensor.device.__get__:  # type: ignore[attr-defined]
                return Far.place
            if func == Tensor.is_cuda.__get__:  # type: ignore[attr-defined]
                return Far.place.type == "cuda"
            if func is Tensor.tolist:
                return first.near.tolist()
            if func in (Tensor.numpy, Tensor.__array__):
                raise TypeError(REFUSED.format(Far.place))
            if func is Tensor.new_tensor:
                device = given.pop("device", INNER)
                return torch.tensor(*args[1:], **{"dtype": first.dtype} | given).to(_inner(device))
        if func in (torch.tensor, torch.as_tensor):
            device = given.pop("device", None)
            made = func(*args, **given)
            return made if device is None else made.to(_inner(device))
        if func is Tensor.backward:
            assert given.pop("gradient", None) is None
            with _Functions():
                return torch.autograd.backward(first, **given)
        if func in (Tensor.__getitem__, Tensor.__setitem__):
            args = [first, _index(args[1]), *args[2:]]
        if func is torch.device or "autocast" in getattr(func, "__name__", ""):
            return func(*args, **given)
        return func(*tree_map(_inner, list(args)), **tree_map(_inner, given))


class _Operations(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _operate(func, args, dict(kwargs or {}))


def _inner(word: Any) -> Any:
    named = isinstance(word, torch.device) and word.type in KINDS
    return INNER if named or (isinstance(word, str) and word.partition(":")[0] in KINDS) else word


def _index(key: Any) -> Any:
    """PyTorch would make tensors of lists where no mode sees them."""
    if isinstance(key, tuple):
        return tuple(_index(part) for part in key)
    return torch.tensor(list(key)) if isinstance(key, list | range) else key


def _operate(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """An operation, on the numbers; its answer is as far as what it was asked of, or as it was told to be."""
    tensors = [part for part in tree_leaves((args, kwargs)) if isinstance(part, Tensor)]
    far = [tensor for tensor in tensors if isinstance(tensor, Far)]
    if any(tensor.device == INNER for tensor in tensors if not isinstance(tensor, Far)):
        raise AssertionError(f"{func}: a tensor was made past the modes")
    device = kwargs.get("device")
    sent = device is not None and torch.device(device) == INNER
    _refuse_mixed(func, args, tensors)
    if (sent or far) and kwargs.get("generator") is not None:
        raise RefusedError(f"{func}: a generator of the CPU draws on the GPU")
    if sent:
        kwargs["device"] = torch.device("cpu")
    made = func(*tree_map(_near, args), **tree_map(_near, kwargs))
    if func is aten._local_scalar_dense.default:
        return made
    leads = isinstance(args[0], Far) if func in (*COPIES, *INDEXED) else bool(far)
    if not (sent if device is not None else leads):
        return made
    made = tree_map(lambda part: Far(part) if isinstance(part, Tensor) else part, made)
    return return_and_correct_aliasing(func, args, kwargs, made) if far else made


def _refuse_mixed(func: Any, args: Any, tensors: list[Tensor]) -> None:
    """RefusedError where tensors of both places meet. Single numbers may come from anywhere, indices from the CPU."""
    if func in COPIES:
        return
    if func in INDEXED:
        indices = [part for part in tree_leaves(args[1]) if isinstance(part, Far)]
        if indices and not isinstance(args[0], Far):
            raise RefusedError(f"{func}: indices on the GPU of a tensor on the CPU")
        tensors = [args[0], *args[2:3]]
    near = [tuple(tensor.shape) for tensor in tensors if not isinstance(tensor, Far) and tensor.dim()]
    if near and len(near) < len(tensors) and any(isinstance(tensor, Far) for tensor in tensors):
        raise RefusedError(f"{func}: tensors on the GPU, and of shapes {near} on the CPU")


def _near(part: Any) -> Any:
    return part.near if isinstance(part, Far) else part
