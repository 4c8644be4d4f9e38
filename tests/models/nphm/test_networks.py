"""The head models' networks beyond the golden cases: sizes, symmetry, heads in a batch, and what training adds."""

from __future__ import annotations

import math

import pytest
import torch

from models.nphm.canonical import Canonical
from models.nphm.deformation import Deformation
from models.nphm.head import BACKWARD, FORWARD, HeadModel
from models.nphm.identity import FADE, Identity
from models.nphm.layers import divided
from models.nphm.sizes import (
    APPENDED,
    MONO_CANONICAL,
    MONO_DEFORMATION,
    CanonicalSizes,
    DeformationSizes,
    IdentitySizes,
    Slots,
    layer_sizes,
)
from tests.models.nphm import tiny

POINTS = 1.4 * torch.rand(1, 200, 3, generator=torch.Generator().manual_seed(1)) - 0.7


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_published_sizes():
    """Parameters are counted as published: 3.01, 1.36, 10.28 and 0.94 million."""
    assert (Slots().identity, MONO_CANONICAL.identity) == (1344, 2176)
    assert (DeformationSizes().told, MONO_DEFORMATION.told) == (1461, 2371)
    with torch.device("meta"):
        coloured = CanonicalSizes(anchors=65, pairs=30, colour=200)
        networks = Identity(IdentitySizes()), Deformation(DeformationSizes()), Canonical(coloured)
        assert [round(count(one) / 1e6, 2) for one in networks] == [3.01, 1.36, 10.28]
        assert round(count(Deformation(MONO_DEFORMATION)) / 1e6, 2) == 0.94
        assert len(Canonical(coloured).state_dict()) + len(Deformation(MONO_DEFORMATION).state_dict()) == 730 + 16 + 1


def test_the_input_comes_in_again_half_way():
    shrunk = layer_sizes(235, 512, 6, 3, "shrunk")
    assert shrunk == [(235, 512), (512, 512), (512, 277), (512, 512), (512, 512), (512, 512), (512, 3)]
    appended = layer_sizes(119, 400, 6, 5, APPENDED)
    assert appended == [(119, 400), (400, 400), (400, 400), (519, 400), (400, 400), (400, 400), (400, 5)]


def mirrored(made: HeadModel, code: torch.Tensor) -> torch.Tensor:
    """The code of the head that a mirror shows, of one whose middle is symmetric."""
    sizes = made.identity.sizes
    whole, local = divided(code, sizes.global_code, sizes.local_code)
    order = [k ^ 1 if k < 2 * sizes.pairs else k for k in range(sizes.anchors + 1)]
    return torch.cat((whole, local[:, order].flatten(1)), 1)


@pytest.mark.parametrize("make", [tiny.forward_model, tiny.mono_model])
def test_pairs_that_change_places_mirror_the_head(make):
    """Only pairs are asked: members of the middle see x as it is, and need not be symmetric."""
    made = make()
    field, code = made.identity, tiny.codes(made)[0]
    with torch.no_grad():
        field.mlp_pos[4].weight.zero_()
        field.mlp_pos[4].bias.zero_()
        if isinstance(field, Identity):  # the others are to say nothing
            field.ensembled_deep_sdf.lin4.weight[field.sizes.pairs :] = 0
            field.ensembled_deep_sdf.lin4.bias[field.sizes.pairs :] = 0
        else:
            for member in field.deepSDFensemble.members()[field.sizes.pairs :]:
                member.layers[-1].weight.zero_()
                member.layers[-1].bias.zero_()
        field.mean_anchors[2 * field.sizes.pairs :, 0] = 0
        hyper = torch.zeros(1, 200, 0 if isinstance(field, Identity) else 2)
        here = field(torch.cat((POINTS, hyper), -1), code)
        there = field(torch.cat((POINTS * torch.tensor([-1, 1, 1]), hyper), -1), mirrored(made, code))
    assert float(here.std()) > 1e-3
    torch.testing.assert_close(here, there, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("make", [tiny.forward_model, tiny.mono_model])
def test_heads_of_a_batch_do_not_meet(make):
    made = make()
    identity, expression = tiny.codes(made, heads=3)
    points = torch.cat((POINTS, POINTS + 0.1, -POINTS))
    together = made.field(points, identity, expression)
    for i in range(3):
        one = slice(i, i + 1)
        alone = made.field(points[one], identity[one], expression[one])
        torch.testing.assert_close(together[one], alone, atol=1e-6, rtol=1e-5)


def test_colours_of_a_batch_do_not_meet():
    made = tiny.mono_model(colour=True)
    (code, _), look = tiny.codes(made, heads=2), torch.randn(2, tiny.CANONICAL.appearance)
    points = torch.cat((POINTS, -POINTS)) @ torch.eye(3, 5)
    together = made.identity.colours(points, code, look)
    for i in range(2):
        one = slice(i, i + 1)
        torch.testing.assert_close(together[one], made.identity.colours(points[one], code[one], look[one]))


def test_the_last_point_of_a_chunk_is_a_point_like_others():
    made = tiny.forward_model()
    code = tiny.codes(made)[0]
    whole, less = made.field(POINTS, code), made.field(POINTS[:, :7], code)
    torch.testing.assert_close(whole[:, :7], less)


def test_far_from_all_anchors_nphm_tells_no_distance():
    made = tiny.forward_model()
    field, code, far = made.identity, tiny.codes(made)[0], torch.tensor([[[0.0, 30.0, 0.0]]])
    whole = field.members(far, code, field.place(code))[..., -1]
    share = math.exp(-20) / (math.exp(-20) + FADE)
    torch.testing.assert_close(field(far, code), share * whole)
    assert share == pytest.approx(0.00206, abs=1e-5)


def test_every_parameter_and_code_learns():
    for made in (tiny.forward_model(), tiny.mono_model()):
        identity, expression = (code.requires_grad_() for code in tiny.codes(made, heads=2))
        points = POINTS.expand(2, -1, -1).clone().requires_grad_()
        loss = made.field(points, identity, expression).square().sum()
        if made.moves == FORWARD:
            loss = loss + made.posed(points, identity, expression).square().sum()
        loss.backward()
        for name, parameter in made.named_parameters():
            assert parameter.grad is not None and bool(parameter.grad.isfinite().all()), name  # noqa: PT018
            assert float(parameter.grad.abs().max()) > 0, name
        for code in (identity, expression, points):
            assert float(code.grad.abs().sum(-1).min()) > 0


def test_a_point_on_an_anchor_has_a_gradient():
    for made in (tiny.forward_model(), tiny.mono_model()):
        code = tiny.codes(made)[0]
        points = made.identity.place(code).detach() @ torch.eye(3, 3 if made.moves == FORWARD else 5)
        points.requires_grad_()
        made.identity(points, code).sum().backward()
        assert bool(points.grad.isfinite().all())


def test_noise_is_trainings_alone():
    made = tiny.forward_model()
    made.deformation.noise = 0.05
    codes = tiny.codes(made)
    first = made.posed(POINTS, *codes)
    torch.testing.assert_close(first, made.posed(POINTS, *codes), atol=0, rtol=0)
    made.train()
    assert not torch.equal(first, made.posed(POINTS, *codes))


@pytest.mark.parametrize(
    ("identity", "deformation", "moves", "sentence"),
    [
        (IdentitySizes(pairs=20), None, BACKWARD, "pairs = 20 of anchors are more than the 39 anchors give"),
        (IdentitySizes(width=99), None, BACKWARD, "a member of 99 channels has no room for its 99 inputs"),
        (CanonicalSizes(neighbours=40), None, BACKWARD, "neighbours = 40 must be between 1 and the 39 anchors"),
        (tiny.IDENTITY, DeformationSizes(), FORWARD, "the deformation is of other identity codes than the field"),
        (IdentitySizes(), DeformationSizes(hyper=2), BACKWARD, "gives 2 hyper coordinates, and the field takes 0"),
        (IdentitySizes(), DeformationSizes(skip="none"), FORWARD, "skip = 'none' must be 'shrunk' or 'appended'"),
        (IdentitySizes(), DeformationSizes(), "sideways", "moves = 'sideways' must be 'forward' or 'backward'"),
    ],
)
def test_sizes_that_do_not_go_together_are_told(identity, deformation, moves, sentence):
    with pytest.raises(ValueError, match=sentence):
        HeadModel.build(identity, deformation, moves)


def test_a_backward_model_without_hyper_coordinates_is_one_too():
    made = tiny.model(tiny.IDENTITY, tiny.FORWARDS, BACKWARD)
    codes = tiny.codes(made)
    expected = made.identity(made.canonical(POINTS, *codes), codes[0])
    torch.testing.assert_close(made.field(POINTS, *codes), expected)
    with pytest.raises(ValueError, match="moves points backward tells no posed places"):
        made.posed(POINTS, *codes)
