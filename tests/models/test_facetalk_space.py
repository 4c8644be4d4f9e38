"""The space that FaceTalk draws motion in: what is learnt of the training motion, and the ways in and out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from faces.errors import DataError
from models.facetalk import space as module
from models.facetalk.space import FLOOR, MotionSpace
from tests.models.tiny_facetalk import ALL, CODES, MESH, PARTS, WIDE, clips, facts, motions, network

every = pytest.mark.parametrize("settings", ALL, ids=["vertices", "pca", "track"])


def displacements() -> Tensor:
    return torch.cat([motion - template for motion, template in motions()]).double()


def learnt(components: int = 0, *, each: bool = False, given=motions) -> MotionSpace:
    made = MotionSpace(WIDE, components, each=each)
    made.study(given)
    return made


def still() -> Iterator[tuple[Tensor, Tensor]]:
    yield torch.ones(4, WIDE), torch.zeros(WIDE)


def unheard_of() -> Iterator[tuple[Tensor, Tensor]]:
    yield torch.full((4, WIDE), float("nan")), torch.zeros(WIDE)


def flat() -> Iterator[tuple[Tensor, Tensor]]:
    """Two independent directions."""
    for motion, template in motions():
        moved = motion - template
        moved[:, 2:] = 0
        yield template + moved, template


def test_vertices_have_one_deviation_of_all():
    made, moved = learnt(), displacements()
    torch.testing.assert_close(made.mean, moved.mean(0).float())
    expected = (moved - moved.mean(0)).square().mean().sqrt()
    torch.testing.assert_close(made.deviation, expected.float()[None])
    found = torch.cat([made.inward(motion, template) for motion, template in motions()])
    assert float(found.square().mean()) == pytest.approx(1, rel=1e-5)
    assert float(found.mean(0).abs().max()) < 1e-5


def test_numbers_of_a_track_have_each_their_own():
    made, moved = learnt(each=True), displacements()
    torch.testing.assert_close(made.deviation, moved.std(0, correction=0).float())
    found = torch.cat([made.inward(motion, template) for motion, template in motions()])
    torch.testing.assert_close(found.std(0, correction=0), torch.ones(WIDE))


def test_numbers_that_hardly_move_are_not_blown_up():
    def nearly() -> Iterator[tuple[Tensor, Tensor]]:
        for motion, template in motions():
            moved = motion - template
            moved[:, 0] *= 1e-9
            yield template + moved, template

    made = learnt(each=True, given=nearly)
    assert made.deviation[0] == pytest.approx(FLOOR * float(made.deviation.max()))


def test_components_are_those_of_the_singular_value_decomposition():
    made, moved = learnt(5), displacements()
    exact = torch.linalg.svd(moved - moved.mean(0), full_matrices=False).Vh[:5]
    torch.testing.assert_close(
        (made.basis.double() @ exact.T).abs(), torch.eye(5, dtype=torch.float64), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(made.basis @ made.basis.T, torch.eye(5), atol=1e-5, rtol=0)
    assert (made.basis.gather(1, made.basis.abs().argmax(1, keepdim=True)) > 0).all()
    found = torch.cat([made.inward(motion, template) for motion, template in motions()])
    torch.testing.assert_close(found.std(0, correction=0), torch.ones(5))
    assert (made.deviation.diff() < 0).all()  # the largest first


def test_components_of_evenly_spread_frames(monkeypatch):
    """71 frames, 40 of which are looked at; from every sequence that is long enough."""
    monkeypatch.setattr(module, "FRAMES", 40)
    made, moved = learnt(5), displacements()
    chosen = moved[((torch.arange(40) + 0.5) * 71 / 40).long()] - moved.mean(0)
    exact = torch.linalg.svd(chosen, full_matrices=False).Vh[:5]
    torch.testing.assert_close(
        (made.basis.double() @ exact.T).abs(), torch.eye(5, dtype=torch.float64), atol=1e-4, rtol=0
    )
    # Deviations are of all frames.
    expected = ((moved - moved.mean(0)) @ made.basis.double().T).square().mean(0).sqrt()
    torch.testing.assert_close(made.deviation, expected.float())


def test_components_may_be_multiplied_in_columns(monkeypatch):
    whole = learnt(5)
    monkeypatch.setattr(module, "COLUMNS", 7)
    torch.testing.assert_close(learnt(5).basis, whole.basis, atol=1e-6, rtol=0)


@every
def test_the_way_out_is_the_way_in_reversed(settings):
    made = network(settings).space
    for motion, template in motions():
        inside = made.inward(motion, template)
        assert inside.shape == (len(motion), made.width)
        back = made.outward(inside, template)
        if not settings.pca:
            torch.testing.assert_close(back, motion, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(made.inward(back, template), inside, atol=1e-4, rtol=1e-4)


@every
def test_motion_is_scaled_before_it_is_standardised(settings):
    """With the factor 0 a clip is the neutral face, which is not the mean."""
    made = network(settings).space
    motion, template = next(iter(motions()))
    neutral = made.inward(template[None], template)
    assert float(neutral.abs().max()) > 1e-3
    found = made.inward(motion, template, torch.zeros(1, 1))
    torch.testing.assert_close(found, neutral.expand_as(found))
    if settings.track:
        torch.testing.assert_close(found, (-made.mean / made.deviation).expand_as(found))
    doubled = made.inward(template + 2 * (motion - template), template)
    torch.testing.assert_close(made.inward(motion, template, 2.0), doubled, atol=1e-5, rtol=1e-5)


@every
def test_a_state_dict_brings_the_space_along(settings):
    made = network(settings)
    other = type(made).build(settings, facts(settings))
    assert {"space.mean", "space.deviation", "space.basis"} <= made.state_dict().keys()
    other.load_state_dict(made.state_dict())
    other.space.check()
    for name, value in made.space.state_dict().items():
        assert torch.equal(other.space.state_dict()[name], value), name


@every
def test_a_network_that_was_never_shown_its_motion_learns_nothing(settings):
    made = type(network(settings)).build(settings, facts(settings))
    for losses in (made.losses, made.validation_losses):
        with pytest.raises(DataError, match="has never been shown its training motion"):
            losses(clips([60], [28]))


@every
def test_study_draws_nothing_and_repeats(settings):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    made = [MotionSpace(WIDE, settings.pca, each=bool(settings.track)) for _ in range(2)]
    for one in made:
        one.study(motions)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(made[0].buffers(), made[1].buffers(), strict=True))


@pytest.mark.parametrize(
    ("given", "components", "sentence"),
    [
        (lambda: iter([]), 0, "there is no training motion"),
        (still, 0, "never moves"),
        (still, 2, "has 0 independent components"),
        (flat, 3, "pca = 3, and the training motion has 2 independent components"),
        (unheard_of, 0, "holds numbers that are none"),
        (unheard_of, 2, "holds numbers that are none"),
    ],
)
def test_motion_that_cannot_be_learnt_from(given, components, sentence):
    with pytest.raises(DataError, match=sentence):
        MotionSpace(WIDE, components, each=False).study(given)


def test_settings_say_which_space():
    assert [network(one).space.deviation.shape for one in (MESH, PARTS, CODES)] == [(1,), (5,), (WIDE,)]
