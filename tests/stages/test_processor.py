from __future__ import annotations

import torch

from stages.processor import set_up


def test_threads_and_float32() -> None:
    threads = torch.get_num_threads()
    torch.backends.cudnn.allow_tf32 = True
    try:
        set_up(0)
        assert torch.get_num_threads() == 1
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
        set_up(2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
