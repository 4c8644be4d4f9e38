"""A group of two processes sums and exchanges as one process would; one of which the other dies notices."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from stages.train.group import Alone
from stages.train.processes import Parted, Processes, buckets
from stages.train.rendezvous import connect, hosted
from tests.stages.group_partner import backward, layers, share

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def group() -> Iterator[Processes]:
    """Process 0. The tests of this module are the partner's script, in order."""
    with hosted() as address:
        partner = subprocess.Popen(
            [sys.executable, "-m", "tests.stages.group_partner", str(address.port)],
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )
        group = Processes(connect(address), 0, 2, "cpu")
        yield group
        group.close()
        assert partner.wait() == 0


def test_the_two_agree(group: Processes) -> None:
    given = torch.tensor([1.0, 2.0], dtype=torch.float64)
    assert group.total(given).tolist() == [3.5, 1.0]
    assert given.tolist() == [1.0, 2.0]  # what was given stays
    first, second = group.gather("a long text, so that the sizes differ " * 9)
    assert first.startswith("a long text")
    assert (second["rank"], second["state"], second["tensor"].tolist()) == (1, (3, [4, 5]), [0, 1, 2])

    both, mine = layers(), layers()  # gradients are those of all clips, whoever had which layer
    for rank, own in ((0, 1), (1, 2)):
        backward(both, share(rank), own)
    backward(mine, share(0), own=1)
    group.sum_gradients(mine.parameters())
    for (name, theirs), ours in zip(both.named_parameters(), mine.parameters(), strict=True):
        if name.startswith("3"):
            assert ours.grad is None
        else:
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-6, atol=1e-6)

    alone, mine = layers(), layers()  # an empty share counts as zero
    for network in (alone, mine):
        backward(network, share(0), own=1)
    group.sum_gradients(mine.parameters())
    for ours, theirs in zip(mine.parameters(), alone.parameters(), strict=True):
        assert (ours.grad is None) == (theirs.grad is None)
        assert ours.grad is None or torch.equal(ours.grad, theirs.grad)

    group.total(torch.zeros(1, dtype=torch.float64))
    with pytest.raises(Parted, match="another of the 2 processes that train together has left"):
        group.total(torch.zeros(1, dtype=torch.float64))


def test_alone() -> None:
    alone, network = Alone(), torch.nn.Linear(2, 2)
    alone.sum_gradients(network.parameters())
    assert network.weight.grad is None
    assert alone.gather({"any": "thing"}) == [{"any": "thing"}]
    assert alone.total(torch.tensor([4.0])).tolist() == [4.0]


def test_buckets_hold_one_type_and_no_more_than_they_may() -> None:
    sizes = [3, 3, 3, 9, 1]
    gradients = [torch.zeros(size) for size in sizes] + [torch.zeros(1, dtype=torch.float64)]
    found = [[len(gradient) for gradient in bucket] for bucket in buckets(gradients, most=4 * 7)]
    assert found == [[3, 3], [3], [9], [1], [1]]
    assert list(buckets([])) == []
