"""A module inside another that moves with it and carries gradients, but is neither trained nor stored with it."""

from __future__ import annotations

from typing import Any

from torch import nn


def hold_frozen(owner: nn.Module, name: str, part: nn.Module) -> None:
    """Make `part` a submodule of `owner` without gradients, whose weights are none of the owner's.

    The owner's `state_dict` leaves them out, and `load_state_dict` neither misses nor takes them. Whoever overrides
    `train` must keep the part in eval mode.
    """
    part.requires_grad_(False).eval()
    owner.add_module(name, part)
    owner.register_state_dict_post_hook(_Leave(name))
    owner.register_load_state_dict_pre_hook(_Refuse(name))
    owner.register_load_state_dict_post_hook(_Forgive(name))


class _Named:
    """Hooks are objects and not closures, so that a network can be copied and pickled."""

    def __init__(self, name: str) -> None:
        self.prefix = f"{name}."


class _Leave(_Named):
    def __call__(self, module: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
        for name in [name for name in state if name.startswith(prefix + self.prefix)]:
            del state[name]


class _Refuse(_Named):
    def __call__(
        self,
        module: nn.Module,
        state: dict[str, Any],
        prefix: str,
        metadata: Any,
        strict: bool,
        missing: list[str],
        unexpected: list[str],
        errors: list[str],
    ) -> None:
        for name in [name for name in state if name.startswith(prefix + self.prefix)]:
            del state[name]
            unexpected.append(name)


class _Forgive(_Named):
    def __call__(self, module: nn.Module, incompatible: Any) -> None:
        missing: list[str] = incompatible.missing_keys
        missing[:] = [name for name in missing if not name.startswith(self.prefix)]
