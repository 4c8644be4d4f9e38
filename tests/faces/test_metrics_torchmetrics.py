"""TorchMetrics (from 1.8 on) as an oracle of the lip vertex error, where it is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from faces import metrics
from faces.metrics_definitions import find

LIPS = [3, 7, 8, 30]


@pytest.fixture(scope="module")
def oracle() -> Any:
    return pytest.importorskip("torchmetrics.functional.multimodal", reason="needs torchmetrics")


@pytest.mark.filterwarnings("ignore")  # its own imports
@pytest.mark.parametrize("frames", [1, 9, 30])
def test_lip_vertex_error(oracle: Any, frames: int) -> None:
    """Of one sequence. Both are in the precision of what comes in, here float64."""
    truth, made = np.random.default_rng(frames).normal(size=(2, frames, 40, 3))
    theirs = oracle.lip_vertex_error(torch.from_numpy(made), torch.from_numpy(truth), mouth_map=LIPS)
    assert metrics.lve_per_frame(truth, made, np.array(LIPS)).mean() == pytest.approx(theirs.item(), rel=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_its_module_pools_all_frames(oracle: Any) -> None:
    """Over several sequences of unequal lengths it is `lve/torchmetrics`, an alias of `lve/facediffuser`."""
    from torchmetrics.multimodal import LipVertexError

    module, ours = LipVertexError(mouth_map=LIPS), metrics.Mean(find("lve/torchmetrics")[0].average)
    for frames in (5, 50):
        truth, made = np.random.default_rng(frames).normal(size=(2, frames, 40, 3))
        module.update(torch.from_numpy(made), torch.from_numpy(truth))
        ours.add(float(metrics.lve_per_frame(truth, made, np.array(LIPS)).mean()), frames)
    assert ours.value == pytest.approx(module.compute().item(), rel=1e-12)
