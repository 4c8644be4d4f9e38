"""Networks that are built without drawing their weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.unfilled import take_over, unfilled
from tests.models import tiny, tiny_codetalker, tiny_talkingstyle


class Derived(nn.Module):
    """A weight, a table that no file holds, and a drawn buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)
        nn.init.kaiming_normal_(self.linear.weight, mode="fan_out")
        nn.init.uniform_(self.linear.bias)
        self.register_buffer("table", torch.arange(4.0).sin(), persistent=False)
        self.register_buffer("noise", torch.empty(4).normal_(), persistent=False)


def test_only_weights_are_left_out():
    torch.manual_seed(0)
    with unfilled():
        made = Derived()
    torch.manual_seed(0)
    noise = torch.empty(4).normal_()
    assert torch.equal(made.table, torch.arange(4.0).sin())
    assert torch.equal(made.noise, noise)  # nothing else was drawn before it
    assert Derived().linear.weight.std() > 0  # outside all is as always


@pytest.mark.parametrize("kind", ["faceformer", "talkingstyle", "codetalker"])
def test_faces_draw_nothing_but_the_vector_that_masks(kind):
    before = torch.get_rng_state()
    with unfilled():
        if kind == "faceformer":
            tiny.FaceFormer.build(tiny.VOCASET, tiny.facts(tiny.VOCASET))
        elif kind == "talkingstyle":
            settings = tiny_talkingstyle.VOCASET
            tiny_talkingstyle.TalkingStyle.build(settings, tiny_talkingstyle.facts(settings))
        else:
            flavour = tiny_codetalker.VOCASET
            prior = tiny_codetalker.MotionAutoencoder.build(flavour.prior, tiny_codetalker.facts(flavour))
            tiny_codetalker.CodeTalker.build(flavour.face, tiny_codetalker.facts(flavour), prior)
    after = torch.get_rng_state()
    torch.set_rng_state(before)
    torch.empty(32).uniform_()
    assert torch.equal(after, torch.get_rng_state())


def test_tensors_are_taken_over_without_a_copy():
    made = Derived()
    made.linear.bias.requires_grad_(False)
    state = {"linear.weight": torch.randn(4, 3), "linear.bias": torch.randn(4, dtype=torch.float16)}
    take_over(made, state)
    assert made.linear.weight.data_ptr() == state["linear.weight"].data_ptr()
    assert (made.linear.weight.requires_grad, made.linear.bias.requires_grad) == (True, False)
    assert made.linear.bias.dtype == torch.float32


def test_what_does_not_fit_is_refused():
    with pytest.raises(RuntimeError, match=r"size mismatch for linear\.weight"):
        take_over(Derived(), {"linear.weight": torch.zeros(4, 2), "linear.bias": torch.zeros(4)})
    with pytest.raises(RuntimeError, match=r"Missing key.*linear\.bias"):
        take_over(Derived(), {"linear.weight": torch.zeros(4, 3)})
