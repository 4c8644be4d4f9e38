"""How FaceTalk learns: crops, noise, sound that is withheld, and what a frozen speech encoder is not asked twice."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from faces.errors import DataError
from models.facetalk.face import FaceTalk
from models.facetalk.lesson import LOOKS, Draws, draw, spread
from models.facetalk.memory import Remembered
from models.official import published_name
from models.speech import FineTuning, SpeechEncoder
from models.talking_face import Clips
from tests.models.tiny import SPEECH
from tests.models.tiny_facetalk import ALL, CALM, CODES, MESH, WIDE, clips, facts, network, one

every = pytest.mark.parametrize("settings", ALL, ids=["vertices", "pca", "track"])
LENGTHS, FRAMES = [60, 41, 83, 9], [33, 12, 40, 1]


def heard(settings=CODES, seed: int = 0, **about) -> FaceTalk:
    """With a pretrained encoder's shape."""
    return network(settings, seed, encoder="some/encoder", config={"model_type": "wav2vec2", **SPEECH}, **about)


def gradients(loss: Tensor, made: FaceTalk) -> list[Tensor | None]:
    learned = [parameter for parameter in made.parameters() if parameter.requires_grad]
    return list(torch.autograd.grad(loss, learned, allow_unused=True))


# -- what is drawn -----------------------------------------------------------------------------------------------------


def test_crops_lie_in_their_clips_anywhere():
    torch.manual_seed(0)
    found = [draw([40, 17, 16, 3], 2, MESH) for _ in range(200)]
    starts, lengths = torch.stack([one.starts for one in found]), torch.stack([one.lengths for one in found])
    assert (lengths == torch.tensor([16, 16, 16, 3])).all()
    assert [set(column.tolist()) for column in starts.T[1:]] == [{0, 1}, {0}, {0}]
    assert {0, 24} <= set(starts[:, 0].tolist()) <= set(range(25))
    steps, first = torch.cat([one.steps for one in found]), torch.cat([one.first for one in found])
    assert set(steps.tolist()) == set(range(40))
    assert set(first.tolist()) == set(range(50))
    factors = torch.cat([one.factors for one in found])
    assert 0.7 <= float(factors.min()) < 0.71
    assert 1.29 < float(factors.max()) <= 1.3
    withheld = torch.cat([one.withheld for one in found]).float().mean()
    assert float(withheld) == pytest.approx(0.25, abs=0.05)
    noise = torch.cat([one.noise.flatten() for one in found])
    assert (float(noise.mean()), float(noise.std())) == (pytest.approx(0, abs=0.02), pytest.approx(1, abs=0.02))


def test_draws_follow_the_seed():
    def drawn(seed: int) -> Draws:
        torch.manual_seed(seed)
        return draw(FRAMES, 3, MESH)

    first, again, other = (vars(drawn(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["noise"], other["noise"])


def test_validation_covers_every_frame_at_all_looks_and_draws_nothing():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    found, again = spread(FRAMES, 3, MESH), spread(FRAMES, 3, MESH)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(vars(found)[name], vars(again)[name]) for name in vars(found))
    half = len(found.clips) // 2
    assert found.withheld.tolist() == [False] * half + [True] * half
    seen = {
        (int(clip), frame, int(step))
        for clip, start, count, step in zip(found.clips, found.starts, found.lengths, found.steps, strict=True)
        for frame in range(int(start), int(start + count))
    }
    steps = set(found.steps.tolist())
    assert (len(steps), min(steps), max(steps)) == (LOOKS, 5, 35)
    assert seen == {(clip, frame, step) for clip, n in enumerate(FRAMES) for frame in range(n) for step in steps}


# -- losses ------------------------------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("reach", [0, 2])
def test_a_padded_batch_is_the_mean_of_its_clips(settings, reach):
    made, batch = network(replace(settings, reach=reach, velocity_weight=0.5)), clips(LENGTHS, FRAMES)
    draws = draw(FRAMES, made.space.width, settings)
    signal, velocity = made.errors(batch, draws)
    alone = [made.errors(one(batch, i), draws.row(i)) for i in range(4)]
    torch.testing.assert_close(signal, torch.cat([pair[0] for pair in alone]), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(velocity, torch.cat([pair[1] for pair in alone]), rtol=1e-4, atol=1e-6)
    assert velocity[3] == 0  # of a single frame
    together = gradients(signal.mean() + velocity.mean(), made)
    apart = gradients(torch.stack([pair[0] + pair[1] for pair in alone]).mean(), made)
    largest = max(float(grad.abs().max()) for grad in apart if grad is not None)
    for padded, single in zip(together, apart, strict=True):
        assert (padded is None) == (single is None)
        assert padded is None or torch.allclose(padded, single, rtol=0, atol=1e-5 * largest)


@every
def test_the_losses_are_those_of_the_definition(settings):
    made, batch = network(replace(settings, velocity_weight=0.5)), clips([60], [33])
    torch.manual_seed(4)
    found = made.losses(batch)
    torch.manual_seed(4)
    draws = draw([33], made.space.width, settings)
    rows = slice(int(draws.starts), int(draws.starts) + 16)
    template = batch.template[0]
    moved = template + draws.factors * (batch.vertices[0, rows] - template)
    truth = made.space.inward(moved, template)
    share = made.schedule.alphas_cumprod[draws.steps].float()
    noisy = share.sqrt() * truth + (1 - share).sqrt() * draws.noise[0]
    memory = made.listen(batch.features, [60], [33])[:, rows]
    guess = made.denoiser(noisy[None], draws.steps, memory, withheld=draws.withheld, first=draws.first)[0]
    torch.testing.assert_close(found["signal"], (guess - truth).square().mean())
    torch.testing.assert_close(found["velocity"], (guess - truth).diff(dim=0).square().mean())
    torch.testing.assert_close(found["loss"], found["signal"] + 0.5 * found["velocity"])


@every
def test_training_mode_without_noise_equals_evaluation(settings):
    made, batch = network(replace(settings, **CALM)), clips(LENGTHS, FRAMES)
    torch.manual_seed(3)
    expected = made.losses(batch)
    torch.manual_seed(3)
    torch.testing.assert_close(made.train().losses(batch), expected, rtol=1e-5, atol=0)


def test_every_weight_learns_but_those_that_one_key_makes_idle():
    made = network(MESH).train()
    for parameter in made.parameters():
        parameter.grad = None
    torch.manual_seed(0)
    for _ in range(8):  # sound is withheld of some clip, and not of all
        made.losses(clips(LENGTHS, FRAMES))["loss"].backward()
    idle = {name for name, p in made.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())}
    assert idle <= {name for name in idle if ".audio.norm." in name or name.endswith("masked_spec_embed")}
    assert "denoiser.null" not in idle


def test_validation_is_the_same_whatever_was_drawn_before():
    made, batch = network(MESH), clips([60], [33])
    torch.manual_seed(0)
    first = made.validation_losses(batch)
    before = torch.get_rng_state()
    torch.testing.assert_close(made.validation_losses(batch), first, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.keys() == {"loss", "unheard"}
    assert first["loss"] != first["unheard"]


@every
def test_validation_of_clips_together_is_the_mean_of_each(settings):
    made, batch = network(replace(settings, diffusion_steps=400)), clips([60], [33])
    twice = Clips(**{name: torch.cat((value, value)) for name, value in vars(batch).items() if value is not None})
    draws = spread([33], made.space.width, made.settings)
    signal, _ = made.errors(batch, draws)
    counts = draws.lengths.float()
    for name, chosen in (("loss", ~draws.withheld), ("unheard", draws.withheld)):
        expected = (signal * counts)[chosen].sum() / counts[chosen].sum()
        torch.testing.assert_close(made.validation_losses(batch)[name], expected)
    assert made.validation_losses(twice)["loss"].shape == ()


@pytest.mark.parametrize(("lengths", "frames"), [([40, 0], [20, 9]), ([40, 9], [20, 0])])
def test_a_clip_of_nothing_is_refused(lengths, frames):
    with pytest.raises(DataError, match="has no motion frame, or speech too short"):
        network(MESH).losses(clips(lengths, frames))


ORDERS = ([3, 1], [0, 1, 2, 3], [2], [1, 0], [0, 3, 2], [2, 1])


def learn(made: FaceTalk, moves: torch.optim.Optimizer, orders: Sequence[list[int]]) -> None:
    """A step with each of these batches, by sentences."""
    for order in orders:
        batch = clips([LENGTHS[i] for i in order], [FRAMES[i] for i in order])
        moves.zero_grad()
        made.losses(replace(batch, sentences=torch.tensor(order)))["loss"].backward()
        moves.step()


def optimiser(made: FaceTalk) -> torch.optim.Optimizer:
    return torch.optim.Adam([p for p in made.parameters() if p.requires_grad], lr=1e-3)


@pytest.mark.parametrize("make", [heard, lambda seed=0: network(MESH, seed)], ids=["frozen", "log-mel"])
def test_training_goes_on_exactly_where_it_stopped(make):
    """From weights, optimiser and random state: the same bytes, though what was heard before must be heard again, in
    batches that it was not heard in."""
    made = make().train()
    moves = optimiser(made)
    torch.manual_seed(0)
    learn(made, moves, ORDERS[:3])
    state = {name: value.clone() for name, value in made.state_dict().items()}
    kept, random = copy.deepcopy(moves.state_dict()), torch.get_rng_state()
    learn(made, moves, ORDERS[3:])
    other = make(seed=5).train()
    other.load_state_dict(state)
    again = optimiser(other)
    again.load_state_dict(kept)
    torch.set_rng_state(random)
    learn(other, again, ORDERS[3:])
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in made.state_dict().items())
    assert not all(torch.equal(value, made.state_dict()[name]) for name, value in state.items())


# -- the speech encoder ------------------------------------------------------------------------------------------------


def test_a_pretrained_encoder_is_left_as_it_is():
    made = heard().train()
    assert not any(parameter.requires_grad for parameter in made.audio_encoder.parameters())
    assert not any(module.training for module in made.audio_encoder.modules())
    assert made.denoiser.training
    learns = heard(replace(CODES, frozen_encoder=False)).train()
    assert any(parameter.requires_grad for parameter in learns.audio_encoder.encoder.parameters())
    assert learns.audio_encoder.training
    assert all(parameter.requires_grad for parameter in network(CODES).audio_encoder.parameters())


def test_frozen_or_not_the_same_is_heard():
    frozen, learns = heard(), heard(replace(CODES, frozen_encoder=False))
    learns.load_state_dict(frozen.state_dict())
    batch = clips(LENGTHS, FRAMES)
    found = [made.hear_clips(batch, FRAMES) for made in (frozen, learns)]
    torch.testing.assert_close(found[0], found[1].detach(), atol=1e-5, rtol=0)
    assert not found[0].requires_grad
    assert found[1].requires_grad


def test_a_sentence_is_heard_once():
    made, batch = heard().train(), clips(LENGTHS, FRAMES)
    named = replace(batch, sentences=torch.tensor([4, 7, 1, 0]))
    runs = []
    made.audio_encoder.register_forward_pre_hook(lambda module, given: runs.append(given[0].shape[1]))
    first = made.hear_clips(named, FRAMES)
    assert runs == FRAMES
    assert torch.equal(made.hear_clips(named, FRAMES), first)
    assert torch.equal(made.hear_clips(one(batch, 2), [40])[0], first[2])  # nobody says which it is
    assert runs == [*FRAMES, 40]
    swapped = replace(batch, sentences=torch.tensor([7, 4, 1, 0]))  # of other lengths: never what another one is
    made.hear_clips(swapped, FRAMES)
    assert runs == [*FRAMES, 40, 33, 12]
    made.load_state_dict(made.state_dict())
    made.hear_clips(named, FRAMES)
    assert runs[7:] == FRAMES


def test_what_is_remembered_is_bounded():
    kept = Remembered(most=100)
    kept.put(1, torch.zeros(5, 4))
    kept.put(2, torch.zeros(5, 4))
    assert kept.used == 80
    assert kept.get(1, 5) is not None
    assert (kept.get(2, 5), kept.get(1, 4)) == (None, None)
    assert copy.deepcopy(kept).get(1, 5) is None
    kept.forget()
    assert kept.get(1, 5) is None


def encoder_file(tmp_path, prefix: str = "", **changes: Tensor):
    """Another encoder with the same convolutions, under the older names, beside a head."""
    torch.manual_seed(9)
    made = SpeechEncoder({"model_type": "wav2vec2", **SPEECH}, FineTuning())
    state = {prefix + published_name(name): value for name, value in (made.state_dict() | changes).items()}
    file = tmp_path / "encoder.pt"
    torch.save(state | {f"{prefix.removesuffix('audio_encoder.')}head.weight": torch.zeros(2)}, file)
    return file, made


@pytest.mark.parametrize("prefix", ["", "audio_encoder.", "module.audio_encoder."])
def test_an_encoder_of_a_file_takes_the_place_of_its_own(monkeypatch, tmp_path, prefix):
    source = heard().audio_encoder
    fixed = {name: value for name, value in source.state_dict().items() if name.startswith("feature_extractor.")}
    file, expected = encoder_file(tmp_path, prefix, **fixed)
    made = heard(replace(CODES, encoder_weights=str(file)), seed=3)
    monkeypatch.setattr(SpeechEncoder, "load_pretrained", lambda self, _: self.load_state_dict(source.state_dict()))
    made.load_speech_weights("some/encoder")
    for name, value in made.audio_encoder.state_dict().items():
        assert torch.equal(value, {**expected.state_dict(), **fixed}[name]), name


def test_an_encoder_with_other_convolutions_is_refused(monkeypatch, tmp_path):
    file, _ = encoder_file(tmp_path)
    made = heard(replace(CODES, encoder_weights=str(file)), seed=3)
    monkeypatch.setattr(SpeechEncoder, "load_pretrained", lambda self, _: None)
    with pytest.raises(DataError, match="has other convolutions than those that the features were made with"):
        made.load_speech_weights("some/encoder")


def test_an_encoder_of_a_file_needs_features_that_one_made():
    with pytest.raises(DataError, match="encoder_weights is of a pretrained speech encoder"):
        network(replace(CODES, encoder_weights="a.pt"))


# -- where and how precisely -------------------------------------------------------------------------------------------


@every
def test_half_precision_and_autocast(settings):
    made, batch = network(settings), clips(LENGTHS, FRAMES)
    torch.manual_seed(2)
    exact = made.losses(batch)["loss"]
    torch.manual_seed(2)
    halves = made.losses(replace(batch, features=batch.features.half()))["loss"]
    torch.testing.assert_close(halves, exact, rtol=1e-2, atol=0)
    torch.manual_seed(2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = made.losses(batch)
        checked = made.validation_losses(batch)
        made.train().losses(batch)["loss"].backward()
    assert {value.dtype for value in (losses | checked).values()} == {torch.float32}
    torch.testing.assert_close(losses["loss"], exact, rtol=0.05, atol=0)
    assert all(p.grad is None or p.grad.isfinite().all() for p in made.parameters())


@every
def test_every_tensor_follows_the_network_to_its_device(settings):
    made = type(network(settings)).build(settings, facts(settings)).train().to("meta")
    batch = clips([60, 60], [30, 30])
    moved = replace(batch.to("meta"), feature_lengths=batch.feature_lengths, frames=batch.frames)
    assert {loss.device.type for loss in made.losses(moved).values()} == {"meta"}
    assert {loss.device.type for loss in made.validation_losses(moved).values()} == {"meta"}
    motion = made.eval().predict(moved.features[0], moved.template[0], moved.style)
    assert motion.shape == (2, made.frames_for(60), WIDE)
