"""One subject more in a network's table of styles: all others are as they were."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from models.newcomer import with_newcomer
from tests.models import tiny, tiny_codetalker, tiny_talkingstyle
from tests.models.tiny import SUBJECTS, clips

MADE: list[Callable[[], Any]] = [
    *(lambda settings=settings: tiny.network(settings) for settings in tiny.BOTH),
    *(lambda settings=settings: tiny_talkingstyle.network(settings) for settings in tiny_talkingstyle.BOTH),
    *(lambda flavour=flavour: tiny_codetalker.network(flavour) for flavour in tiny_codetalker.BOTH),
]
NAMES = [f"{name}-{data}" for name in ("faceformer", "talkingstyle", "codetalker") for data in ("vocaset", "biwi")]
WEIGHTS = [0.25, 0.0, 0.75]


@pytest.fixture(params=MADE, ids=NAMES)
def network(request) -> Any:
    return request.param()


def predict(network: Any, styles: torch.Tensor) -> torch.Tensor:
    batch = clips([40], [12])
    return network.predict(batch.features[0], batch.template[0], styles)


def test_the_newcomer_begins_as_a_mixture_and_nobody_else_changes(network):
    before = predict(network, torch.cat((torch.eye(3), torch.tensor([WEIGHTS]))))
    tables = network.add_subject(WEIGHTS)
    network.eval()
    after = predict(network, torch.eye(4))
    torch.testing.assert_close(after[:3], before[:3])
    torch.testing.assert_close(after[3], before[3], atol=1e-4, rtol=0)
    assert network.subjects == 4
    for table, own in tables:
        assert any(table is parameter for parameter in network.parameters())
        assert own.dtype == torch.bool
        assert int(own.sum()) == table.numel() // 4


def test_a_network_of_one_subject_more_loads_it(network):
    network.add_subject(WEIGHTS)
    names = (*SUBJECTS, "dora")
    facts = replace(tiny.facts(network.settings), train_subjects=names)
    other = type(network).build(network.settings, facts, getattr(network, "autoencoder", None))
    other.load_state_dict(network.state_dict())
    other.eval()
    assert torch.equal(predict(other, torch.eye(4)), predict(network, torch.eye(4)))


def test_what_was_heard_before_gives_the_same_losses(network):
    batch = clips([40, 30], [14, 12])
    expected, found = network.losses(batch), network.lesson_losses(network.hear(batch), batch)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def test_gradients_reach_the_newcomer(network):
    network.requires_grad_(False)
    tables = network.add_subject(WEIGHTS)
    for table, _ in tables:
        table.requires_grad_(True)
    batch = clips([40, 30], [14, 12])
    network.losses(replace(batch, style=torch.eye(4)[[3, 3]]))["loss"].backward()
    for table, own in tables:
        assert table.grad is not None
        assert table.grad[own].abs().max() > 0
        assert table.grad[~own].abs().max() == 0


def test_weights_are_as_many_as_subjects(network):
    with pytest.raises(ValueError, match="4 weights for a table of 3 subjects"):
        network.add_subject([*WEIGHTS, 0.0])


def test_a_table_of_other_subjects():
    with pytest.raises(ValueError, match="2 weights for a table of 3 subjects"):
        with_newcomer(torch.eye(3), [0.5, 0.5], subjects=0)
