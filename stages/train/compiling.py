"""Compiling what a network does most: its repeated blocks, one by one.

A whole loss would be unrolled frame by frame, which takes a compiler minutes, and anew for every length. The layers of
speech encoders and priors are where the time goes; they are all alike, so one compilation serves them, for all lengths.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pipeline.errors import StageError
from stages.train.faults import first_line

MARK = "worth_compiling"
"""A class of modules that says so is compiled wherever a network has it."""
COMPILERS = ("torch._dynamo", "torch._inductor", "torch.fx")


def compile_blocks(network: torch.nn.Module) -> None:
    """In place; nothing is compiled before it runs. StageError where nothing is marked."""
    blocks = [module for module in network.modules() if getattr(type(module), MARK, False)]
    if not blocks:
        raise StageError("compile = true: this network has no blocks that are worth compiling; set compile = false")
    import torch._dynamo

    # Giving up after too many shapes would be a silent return to uncompiled code.
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    for block in blocks:
        block.compile(dynamic=True)


@contextmanager
def telling_of_compiler(wished: bool) -> Iterator[None]:
    """Compiling that fails, or gives up, is an error: falling back would be slow, and nobody would know."""
    try:
        yield
    except Exception as error:
        kinds = [kind.__module__ for kind in type(error).__mro__]
        if not wished or not any(kind.startswith(COMPILERS) for kind in kinds):
            raise
        raise StageError(
            f"compile = true: the network could not be compiled ({first_line(error)}); install a C++ compiler (on a "
            "GPU: triton), or set compile = false"
        ) from error
