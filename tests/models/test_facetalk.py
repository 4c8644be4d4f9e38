"""FaceTalk's denoiser and samplers: masks, guidance, windows, seeds, and the plain forms that they are held against."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from benchmarks.facetalk_naive import naive
from faces.errors import DataError
from models.diffusion.steps import walk_of
from models.facetalk.denoiser import Denoiser, sinusoid
from models.facetalk.drawing import Said, drawn
from models.facetalk.face import FaceTalk
from models.facetalk.settings import Settings
from models.facetalk.windows import Windows
from models.sampling import SAMPLERS, Sampling
from models.talking_face import Speech
from tests.models.all_faces import EYE
from tests.models.tiny_facetalk import ALL, CODES, MESH, PARTS, WIDE, clips, facts, network

every = pytest.mark.parametrize("settings", ALL, ids=["vertices", "pca", "track"])
reaching = pytest.mark.parametrize("reach", [0, 2])
QUICK = Sampling(steps=6)


def speech(length: int, *seeds: int) -> Speech:
    batch = clips([length], [2])
    return Speech(batch.features[0], batch.template[0], EYE[:1], seeds)


def denoiser(seed: int = 0, **changes: int) -> Denoiser:
    return network(replace(CODES, **changes), seed).denoiser


def close(found: Tensor, expected: Tensor) -> None:
    """To rounding: guidance and coefficients add up numbers that are larger than what they come to."""
    torch.testing.assert_close(found, expected, atol=2e-4 * float(expected.abs().max()), rtol=0)


# -- the denoiser ------------------------------------------------------------------------------------------------------


def test_sound_of_the_own_frame_is_a_linear_map():
    """Property 1: a softmax over one key."""
    layer = denoiser().layers[0].audio
    x, audio = torch.randn(3, 20, 16), torch.randn(3, 20, 16)
    with torch.no_grad():
        torch.testing.assert_close(layer.prepare(audio)(x), layer.plain(x, audio), atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(layer.prepare(audio)(x), layer.prepare(audio)(torch.randn_like(x)))


def test_a_wider_reach_is_the_masked_softmax():
    layer = denoiser(reach=2).layers[0].audio
    x, audio = torch.randn(2, 12, 16), torch.randn(2, 12, 16)
    with torch.no_grad():
        query = layer.project(layer.norm(x), 0, 1)[0]
        keys, values = layer.project(audio, 1, 3)
        scores = query @ keys.transpose(2, 3) / keys.shape[-1] ** 0.5
        frame = torch.arange(12)
        scores = scores.masked_fill((frame[:, None] - frame).abs() > 2, -torch.inf)
        expected = layer.merge(scores.softmax(-1) @ values)
        torch.testing.assert_close(layer.prepare(audio)(x), expected, atol=1e-6, rtol=1e-5)


def test_sound_that_is_withheld_is_one_vector_for_any_reach():
    made = denoiser(reach=3)
    alike = made.condition(torch.randn(1, 9, 16), torch.tensor([True]))
    with torch.no_grad():
        for layer, [known] in zip(made.layers, made.listen_to_nothing(), strict=True):
            x = torch.randn(1, 9, 16)
            torch.testing.assert_close(layer.audio.plain(x, alike), known(x).expand(1, 9, 16), atol=1e-6, rtol=1e-5)


@reaching
@pytest.mark.parametrize("look_back", [0, 3])
def test_no_frame_sees_a_later_one(reach, look_back):
    """Property 2: neither motion nor, but for the reach, sound."""
    made = denoiser(reach=reach, look_back=look_back)
    x, audio, t = torch.randn(1, 20, WIDE), torch.randn(1, 20, 16), torch.tensor([7])
    other_sound, other_motion = audio.clone(), x.clone()
    other_sound[:, 11] *= -1
    other_motion[:, 11] *= -1
    with torch.no_grad():
        before, heard, moved = made(x, t, audio), made(x, t, other_sound), made(other_motion, t, audio)
    torch.testing.assert_close(heard[:, : 11 - reach], before[:, : 11 - reach], atol=1e-6, rtol=0)
    torch.testing.assert_close(moved[:, :11], before[:, :11], atol=1e-6, rtol=0)
    changed = ((heard - before).abs().amax((0, 2)) > 1e-5).nonzero().flatten()
    assert int(changed[0]) == 11 - reach
    assert (moved - before)[:, 11].abs().max() > 1e-4


def test_looking_back_on_few_frames_forgets_the_others():
    """Each of two layers sees three frames, so that five count."""
    made = denoiser(look_back=3)
    x, audio, t = torch.randn(1, 20, WIDE), torch.randn(1, 20, 16), torch.tensor([7])
    other = x.clone()
    other[:, 4] += 1
    with torch.no_grad():
        apart = (made(other, t, audio) - made(x, t, audio)).abs().amax((0, 2))
    assert (apart[4:9] > 1e-6).all()
    torch.testing.assert_close(apart[9:], torch.zeros(11), atol=1e-6, rtol=0)


@reaching
def test_padded_rows_get_what_they_get_alone(reach):
    made = denoiser(reach=reach)
    x, audio = torch.randn(2, 20, WIDE), torch.randn(2, 20, 16)
    inside = torch.arange(20) < torch.tensor([[20], [13]])
    with torch.no_grad():
        both = made(x, torch.tensor([3, 30]), audio, inside=inside, first=torch.tensor([0, 9]))
        alone = made(x[1:, :13], torch.tensor([30]), audio[1:, :13], first=torch.tensor([9]))
    assert both.isfinite().all()
    torch.testing.assert_close(both[1:, :13], alone, atol=1e-5, rtol=1e-5)


def test_steps_positions_and_sound_all_count():
    made = denoiser()
    x, audio, t, first = torch.randn(1, 5, WIDE), torch.randn(1, 5, 16), torch.tensor([7]), torch.tensor([0])
    with torch.no_grad():
        before = made(x, t, audio, first=first)
        torch.testing.assert_close(made(x, t, audio), before)
        others = (
            made(x, t + 5, audio, first=first),
            made(x, t, audio, first=first + 5),
            made(x, t, audio, first=first, withheld=torch.tensor([True])),
        )
    assert all((other - before).abs().max() > 1e-3 for other in others)


def test_the_sinusoid_of_a_step():
    found = sinusoid(torch.tensor([0, 3]), 8)
    rates = torch.tensor([1.0, 1e-4 ** (1 / 3), 1e-4 ** (2 / 3), 1e-4])
    torch.testing.assert_close(found[0], torch.tensor([0.0] * 4 + [1.0] * 4))
    torch.testing.assert_close(found[1], torch.cat(((3 * rates).sin(), (3 * rates).cos())))


def test_the_recommended_size():
    made = Denoiser(Settings(), 200)
    assert 35e6 < sum(parameter.numel() for parameter in made.parameters()) < 42e6


# -- samplers ----------------------------------------------------------------------------------------------------------


@every
@reaching
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("long", ["whole", "windows"])
def test_samplers_are_the_plain_ones(settings, reach, sampler, long):
    """Without the motion in the loop, with sound in one batch with none, and heard once."""
    made = network(replace(settings, reach=reach, diffusion_steps=10))
    sampling = Sampling(sampler, steps=5, eta=0.6, guidance=1.7, long=long)
    audio, window = torch.randn(41, 16), 41 if long == "whole" else made.settings.crop
    with torch.no_grad():
        condition = made.denoiser.condition(audio[None])[0]
        [hidden] = drawn(made.denoiser, [Said(condition, 3, window)], made.schedule, sampling)
        close(made.denoiser.formed(hidden), naive(made, audio, 3, sampling, window))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_guidance_of_one_is_the_conditional_answer(sampler):
    """Property 3: nothing is heard of what it would be without sound."""
    made = network(replace(MESH, diffusion_steps=10))
    made.sample_with(Sampling(sampler, steps=5, guidance=1.0))
    expected = made.predict_all([speech(40, 2)])[0]
    nn.init.constant_(made.denoiser.null, 7.0)
    assert torch.equal(made.predict_all([speech(40, 2)])[0], expected)
    made.sample_with(Sampling(sampler, steps=5, guidance=1.0 + 1e-7))
    close(made.predict_all([speech(40, 2)])[0], expected)


@pytest.mark.parametrize("steps", [5, 40])
def test_ddim_without_fresh_noise_repeats_and_finds_what_the_denoiser_knows(steps):
    """Property 4, through all of the network: a denoiser that always answers one motion."""
    made = network(CODES)
    made.sample_with(Sampling(steps=steps, eta=0.0))
    first, again = (made.predict_all([speech(40, 5)])[0] for _ in range(2))
    assert torch.equal(first, again)
    nn.init.zeros_(made.denoiser.outward.weight)
    known = made.to_motion(torch.zeros(1, 16), torch.zeros(WIDE))
    said = replace(speech(40, 5), template=torch.zeros(WIDE))
    torch.testing.assert_close(made.predict_all([said])[0], known.expand(1, 19, -1))


@every
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_windows_of_a_short_clip_are_the_clip(settings, sampler):
    """Property 5: up to the length of a crop."""
    made = network(replace(settings, diffusion_steps=8))
    for length in (34, 12, 3):  # 16, 5 and 1 frames
        found = []
        for long in ("whole", "windows"):
            made.sample_with(Sampling(sampler, steps=4, eta=0.5, long=long))
            found.append(made.predict_all([speech(length, 1)])[0])
        assert found[0].shape[1] == made.frames_for(length) <= made.settings.crop
        assert torch.equal(*found)
    found = []
    for long in ("whole", "windows"):
        made.sample_with(Sampling(sampler, steps=4, eta=0.5, long=long))
        found.append(made.predict_all([speech(60, 1)])[0])
    assert not torch.allclose(*found, atol=1e-3)


@every
@reaching
@pytest.mark.parametrize("long", ["whole", "windows"])
@pytest.mark.parametrize("together", [True, False], ids=["as on a GPU", "as on a CPU"])
def test_a_motion_hangs_on_its_seed_alone(monkeypatch, settings, reach, long, together):
    """Property 6: whatever else is drawn with it, in whatever order."""
    made = network(replace(settings, reach=reach))
    if together:
        monkeypatch.setattr(FaceTalk, "_groups", lambda self, said: iter([said]))
    made.sample_with(Sampling(steps=5, eta=0.5, long=long))
    speeches = [speech(41, 4), speech(80, 4, 1, 9), speech(20, 9, 4)]
    for said, motion in zip(speeches, made.predict_all(speeches), strict=True):
        assert motion.shape == (len(said.seeds), made.frames_for(len(said.features)), WIDE)
        for seed, own in zip(said.seeds, motion, strict=True):
            [alone] = made.predict_all([replace(said, seeds=(seed,))])
            close(own, alone[0])
    first, other = made.predict_all([speech(80, 1, 2)])[0]
    assert not torch.allclose(first, other, atol=1e-2)


def test_nothing_that_others_draw_is_moved():
    made = network(MESH)
    made.sample_with(Sampling("ancestral"))
    before = torch.get_rng_state()
    made.predict_all([speech(40, 1)])
    assert torch.equal(torch.get_rng_state(), before)


def test_no_seed_is_the_seed_0_in_all_styles():
    made = network(MESH)
    made.sample_with(QUICK)
    said = speech(40)
    [motion] = made.predict_all([replace(said, styles=EYE)])
    assert (motion.shape[0], motion.stride(0)) == (3, 0)
    assert torch.equal(motion[2], made.predict_all([speech(40, 0)])[0][0])
    assert torch.equal(made.predict(said.features, said.template, EYE), motion)


@pytest.mark.parametrize("frames", [11, 14, 17])
def test_a_motion_has_as_many_frames_as_is_told(frames: int) -> None:
    """Sound is stretched to it, as in training, whatever the frame rate says: 30 features are 14 frames here."""
    made = network(MESH)
    made.sample_with(QUICK)
    said = speech(30)
    usual = made.predict_all([said])[0]
    asked: list[list[int]] = []
    listen = made.listen
    made.listen = lambda features, lengths, counts: asked.append(counts) or listen(features, lengths, counts)
    found = made.predict_all([replace(said, frames=frames)])[0]
    blocks = torch.cat(list(made.predict_blocks(replace(said, frames=frames), 5)), 1)
    assert asked == [[frames]] * 2
    assert (usual.shape[1], found.shape[1]) == (14, frames)
    assert torch.equal(found, usual) == (frames == 14)
    torch.testing.assert_close(blocks, found)


@pytest.mark.parametrize(
    ("frames", "window"), [(48, 48), (49, 48), (72, 48), (73, 48), (500, 48), (9, 4), (10, 5), (7, 2)]
)
def test_windows_cover_a_clip(frames, window):
    made, x = Windows(frames, window), torch.randn(frames, 3)
    cut = made.cut(x)
    assert cut.shape == (made.count, window, 3)
    assert torch.equal(made.join(cut), x)
    assert made.count == len(made.lengths)
    assert made.overlap < made.lengths[-1] <= window or made.count == 1
    hop = window - made.overlap
    assert all(
        torch.equal(own[:n], x[i * hop : i * hop + n]) for i, (own, n) in enumerate(zip(cut, made.lengths, strict=True))
    )


def test_neighbouring_windows_agree_in_the_end():
    made = network(MESH)
    made.sample_with(replace(QUICK, long="windows"))
    said = speech(120, 3)
    whole = made.predict_all([said])[0][0]
    assert whole.shape[0] == 57
    assert (whole.diff(dim=0).abs().amax(1) > 0).all()


def test_long_clips_go_in_windows_by_themselves():
    made = network(MESH)
    for length, like in ((498, "whole"), (510, "windows")):
        made.sample_with(replace(QUICK, steps=3, long="auto"))
        found = made.predict_all([speech(length, 3)])[0]
        made.sample_with(replace(QUICK, steps=3, long=like))
        assert torch.equal(made.predict_all([speech(length, 3)])[0], found)


@pytest.mark.parametrize(
    ("sampling", "sentence"),
    [
        (Sampling(steps=41), "steps = 41 is more than the 40 that the network was trained with"),
        (Sampling("euler"), "sampler = 'euler' is none of"),
    ],
)
def test_sampling_that_the_network_cannot(sampling, sentence):
    with pytest.raises(DataError, match=sentence):
        network(MESH).sample_with(sampling)


def test_the_walk_of_the_default_fits_any_network():
    made = network(replace(MESH, diffusion_steps=8))
    assert len(walk_of(made.schedule, made.sampling)) == 8


# -- data and files ----------------------------------------------------------------------------------------------------


def test_a_network_of_other_motion_is_not_built():
    with pytest.raises(DataError, match="the network moves 'codes', and the data give 'vertices'"):
        FaceTalk.build(CODES, facts(MESH))
    with pytest.raises(DataError, match="the network moves 'vertices', and the data give 'codes'"):
        FaceTalk.build(MESH, facts(CODES))


def test_facts_of_older_checkpoints_say_no_width():
    assert FaceTalk.build(MESH, replace(facts(MESH), width=0)).coordinates == WIDE


def test_nothing_was_published():
    with pytest.raises(DataError, match="FaceTalk's weights were never published"):
        network(MESH).load_official({})


def test_no_frame_is_shown_before_the_sound_has_ended():
    made = network(MESH)
    with pytest.raises(DataError, match="draws a clip from end to end"):
        made.voice([], torch.zeros(WIDE), EYE[0])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"feature_dim": 15, "heads": 3}, "feature_dim = 15 must be even"),
        ({"track": "codes", "pca": 5}, "pca = 5 is of vertices"),
        ({"scale_low": 2.0}, "scale_low = 2 is above scale_high = 1.3"),
        ({"heads": 3}, "feature_dim = 16 is no multiple of heads = 3"),
    ],
)
def test_settings_that_do_not_go_together(changes, sentence):
    [problem] = replace(MESH, **changes).problems()
    assert problem.startswith(sentence)


def test_settings_say_what_they_want():
    assert (CODES.wants().track, MESH.wants().track) == ("codes", "")
    assert PARTS.files() == {}
    assert replace(MESH, encoder_weights="a.pt").files() == {"encoder_weights": "a.pt"}
    assert "alignment" not in Settings.__dataclass_fields__ or "alignment" not in vars(Settings())


@every
def test_motion_in_blocks_is_that_of_all_seeds(settings):
    made = network(settings)
    made.sample_with(QUICK)
    parts = list(made.predict_blocks(speech(91, 1, 2), 7))
    assert max(part.shape[1] for part in parts) == 7
    torch.testing.assert_close(torch.cat(parts, dim=1), made.predict_all([speech(91, 1, 2)])[0], atol=1e-5, rtol=0)


@every
def test_motion_that_is_drawn_under_autocast_is_near(settings):
    made = network(settings)
    made.sample_with(QUICK)
    exact = made.predict_all([speech(60, 1)])[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = made.predict_all([speech(60, 1)])[0]
    assert found.dtype == torch.float32
    assert 0 < float((found - exact).square().mean().sqrt()) < 0.05 * float(exact.std())
