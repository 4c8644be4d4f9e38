"""How networks run, whatever the stage: on how many threads, and in which arithmetic."""

from __future__ import annotations

import torch


def set_up(workers: int) -> None:
    """Threads for this process, and float32 that is float32.

    TensorFloat-32, which torch allows to convolutions, keeps ten bits of a number: enough to choose another code of a
    prior, after which all motion differs, and what is cached once is read for ever.
    """
    torch.set_num_threads(max(1, workers))
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
