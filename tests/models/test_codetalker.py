"""CodeTalker's second stage beyond the golden cases: the naive loop, batches, styles, length, training, devices."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from benchmarks.codetalker_naive import Naive
from faces.errors import DataError
from models.codetalker.face import CodeTalker
from models.codetalker.settings import Settings
from models.codetalker_vq.autoencoder import MotionAutoencoder
from models.codetalker_vq.columns import FEW
from models.codetalker_vq.settings import Settings as PriorSettings
from models.official import published_name
from models.talking_face import Clips, DataFacts, Speech
from tests.models.tiny import SUBJECTS, VERTICES, clips, one
from tests.models.tiny_codetalker import BIWI, BOTH, VOCASET, Flavour, facts, network, prior

both = pytest.mark.parametrize("flavour", BOTH, ids=["vocaset", "biwi"])
CALM = {"dropout": 0.0, "encoder_dropout": 0.0, "layerdrop": 0.0, "mask_time_prob": 0.0}
STYLES = torch.cat((torch.eye(len(SUBJECTS)), torch.full((1, len(SUBJECTS)), 1 / len(SUBJECTS))))


def speech(length: int, styles: Tensor = STYLES) -> Speech:
    batch = clips([length], [2])
    return Speech(batch.features[0], batch.template[0], styles)


@torch.no_grad()
def naive(made: CodeTalker, said: Speech, style: Tensor) -> tuple[Tensor, Tensor]:
    length = len(said.features)
    memory = made.listen(said.features[None], [length], [made.frames_for(length)])
    return Naive(made)(memory, made.style(style[None]), said.template)


def calm(flavour: Flavour, **changes: float) -> Flavour:
    return flavour._replace(face=replace(flavour.face, **CALM, **changes))  # type: ignore[arg-type]


# -- inference ---------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(("length", "seed"), [(4, 0), (37, 0), (37, 1), (80, 0), (80, 1)])
def test_prediction_equals_the_naive_loop(flavour, length, seed):
    made, said = network(flavour, seed), speech(length)
    motions, codes = made.predict_all([said])[0], made.predict_codes([said])[0]
    assert motions.shape == (len(STYLES), made.frames_for(length), 3 * VERTICES)
    for style, motion, numbers in zip(STYLES, motions, codes, strict=True):
        expected, chosen = naive(made, said, style)
        assert torch.equal(numbers, chosen)
        torch.testing.assert_close(motion, expected[0], atol=2e-5, rtol=0)


def test_a_long_prediction_equals_the_naive_loop():
    """Beyond the few frames that the prior's transformer takes as columns."""
    made, said = network(BIWI), speech(2 * FEW.stop + 20, STYLES[:1])
    expected, chosen = naive(made, said, STYLES[0])
    assert torch.equal(made.predict_codes([said])[0][0], chosen)
    torch.testing.assert_close(made.predict_all([said])[0], expected, atol=2e-5, rtol=0)


@both
def test_codes_follow_speech_style_and_their_own_past(flavour):
    """Otherwise equal codes would prove nothing."""
    made = network(flavour)
    codes = made.predict_codes([speech(80), speech(79)])
    assert len(codes[0].unique()) > 4
    assert not torch.equal(codes[0][0], codes[0][1])
    assert not torch.equal(codes[0][:, : codes[1].shape[1]], codes[1])
    made.vertice_map.weight.data.zero_()
    assert not torch.equal(made.eval().predict_codes([speech(80)])[0], codes[0])


@both
def test_clips_and_styles_at_once_equal_each_alone(flavour):
    made = network(flavour)
    speeches = [speech(41), speech(80, STYLES[:2]), speech(20, STYLES[1:]), speech(63, STYLES[:1])]
    codes, motions = made.predict_codes(speeches), made.predict_all(speeches)
    for said, numbers, motion in zip(speeches, codes, motions, strict=True):
        for row, style in enumerate(said.styles):
            alone = replace(said, styles=style[None])
            assert torch.equal(made.predict_codes([alone])[0][0], numbers[row])
            torch.testing.assert_close(made.predict_all([alone])[0][0], motion[row], atol=2e-5, rtol=0)


def test_a_style_is_a_row_or_a_mixture_of_rows():
    made = network(VOCASET)
    table = made.learnable_style_emb.weight
    assert torch.equal(made.style(torch.eye(3)), table)
    blend = made.style(torch.tensor([[0.6, 0.4, 0.0], [0.2, 0.3, 0.5]]))
    torch.testing.assert_close(blend[0], 0.6 * table[0] + 0.4 * table[1])
    torch.testing.assert_close(blend[1], 0.2 * table[0] + 0.3 * table[1] + 0.5 * table[2])


@pytest.mark.parametrize("flavour", BOTH, ids=["vocaset", "biwi"])
def test_no_table_ends_at_600_frames(flavour):
    made = network(flavour)
    length = 1260
    assert made.frames_for(length) > 600
    made.bound_context(20)
    said = speech(length, STYLES[:1])
    motion = made.predict(said.features, said.template, said.styles)
    assert motion.shape[1] == made.frames_for(length)
    assert motion.isfinite().all()


@both
def test_bounded_context(flavour):
    """It is exact while the prefix fits, an approximation behind, and off again with 0."""
    made, said = network(flavour), speech(80)
    exact = made.predict_codes([said])[0]
    made.bound_context(10)
    bounded = made.predict_codes([said])[0]
    assert torch.equal(bounded[:, :11], exact[:, :11])
    assert not torch.equal(bounded, exact)
    made.bound_context(200)
    assert torch.equal(made.predict_codes([said])[0], exact)
    made.bound_context(10)
    made.bound_context(0)
    assert torch.equal(made.predict_codes([said])[0], exact)


@pytest.mark.parametrize("frames", [1, -3])
def test_a_context_that_means_nothing(frames):
    with pytest.raises(DataError, match=rf"context = {frames}: the prior decodes two frames or more"):
        network(VOCASET).bound_context(frames)


@both
def test_the_unit_of_motion_changes_no_motion(flavour):
    """Released weights, loaded upon a prior that counts in other units, speak as before; the loss has that unit."""
    plain, said, batch = network(flavour), speech(41), clips([50], [24])
    scaled_prior = MotionAutoencoder.build(replace(flavour.prior, motion_scale=0.01), facts(flavour))
    scaled_prior.load_official(plain.autoencoder.state_dict())
    scaled = CodeTalker.build(flavour.face, facts(flavour), scaled_prior).eval()
    scaled.load_official(plain.state_dict())
    assert torch.equal(scaled.predict_codes([said])[0], plain.predict_codes([said])[0])
    torch.testing.assert_close(scaled.predict_all([said])[0], plain.predict_all([said])[0], atol=2e-5, rtol=1e-5)
    one_unit, other = plain.losses(batch), scaled.losses(batch)
    torch.testing.assert_close(other["motion"] * 0.01**2, one_unit["motion"], atol=0, rtol=1e-4)
    torch.testing.assert_close(other["code"], one_unit["code"], atol=0, rtol=1e-4)


@both
def test_autocast_changes_no_code(flavour):
    made, said = network(flavour), speech(60)
    codes = made.predict_codes([said])[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(made.predict_codes([said])[0], codes)
        assert made.predict_all([said])[0].dtype == torch.float32


def test_the_kept_feedback_follows_the_weights():
    made, said = network(VOCASET), speech(60)
    before = made.predict_codes([said])[0]
    with torch.no_grad():
        made.vertice_map.weight.mul_(-2)
    assert not torch.equal(made.predict_codes([said])[0], before)
    with torch.no_grad():
        made.vertice_map.weight.div_(-2)
        made.autoencoder.vertice_map_reverse.weight.mul_(3)
    assert not torch.equal(made.predict_codes([said])[0], before)
    made.autoencoder.vertice_map_reverse.weight.data = made.autoencoder.vertice_map_reverse.weight.data / 3
    assert torch.equal(made.eval().predict_codes([said])[0], before)


# -- training ----------------------------------------------------------------------------------------------------------


@both
def test_a_padded_batch_is_the_mean_of_its_clips(flavour):
    made, batch = network(flavour), clips([60, 41, 83], [33, 18, 36])
    together = made.losses(batch)
    alone = [made.losses(one(batch, i)) for i in range(3)]
    for name, loss in together.items():
        mean = torch.stack([each[name] for each in alone]).mean()
        torch.testing.assert_close(loss, mean, rtol=1e-5, atol=1e-6)
    parameters = [p for p in made.parameters() if p.requires_grad]
    mean = torch.stack([each["loss"] for each in alone]).mean()
    # Evaluation mode: no masking, so masked_spec_embed takes no part.
    gradients = [torch.autograd.grad(loss, parameters, allow_unused=True) for loss in (together["loss"], mean)]
    for padded, single in zip(*gradients, strict=True):
        assert (padded is None) == (single is None)
        assert padded is None or torch.allclose(padded, single, rtol=1e-3, atol=1e-5)


@both
def test_parts_and_weights_of_the_loss(flavour):
    weighted = flavour._replace(face=replace(flavour.face, motion_weight=0.5, code_weight=3.0))
    losses = network(weighted).losses(clips([60], [30]))
    assert losses["motion"] > 0
    torch.testing.assert_close(losses["loss"], 0.5 * losses["motion"] + 3.0 * losses["code"])
    assert set(losses) == {"loss", "motion", "code", "codes_right"}


@both
def test_codes_that_were_computed_beforehand(flavour):
    made, batch = network(flavour), clips([83, 63], [33, 30])
    codes = torch.zeros(2, 33, made.autoencoder.tokens, dtype=torch.int64)
    for i, frames in enumerate((33, 30)):
        codes[i, :frames] = made.autoencoder.encode(batch.vertices[i, :frames].clone(), batch.template[i])
    asked = []
    made.autoencoder.encoder.register_forward_hook(lambda *_: asked.append(1))
    given = made.losses(replace(batch, codes=codes))
    assert not asked
    for name, loss in made.losses(batch).items():
        torch.testing.assert_close(given[name], loss, rtol=1e-5, atol=1e-6)
    shuffled = made.losses(replace(batch, codes=(codes + 1) % flavour.prior.codes))
    assert not torch.equal(shuffled["code"], given["code"])
    assert torch.equal(shuffled["motion"], given["motion"])


def test_codes_right_counts_the_prior_s_own():
    made, batch = network(VOCASET), clips([60], [30])
    features: list[Tensor] = []
    made.feat_map.register_forward_hook(lambda module, given, out: features.append(out))
    made.losses(batch)
    chosen = made.autoencoder.quantise(features[0])[1]
    assert made.losses(replace(batch, codes=chosen))["codes_right"] == 1
    half = chosen.clone()
    half[:, ::2] = (half[:, ::2] + 1) % VOCASET.prior.codes
    assert made.losses(replace(batch, codes=half))["codes_right"] == 0.5


def test_codes_of_another_number_of_frames():
    made, batch = network(BIWI), clips([50], [30])
    codes = torch.zeros(1, 30, made.autoencoder.tokens, dtype=torch.int64)
    with pytest.raises(DataError, match="codes of 30 frames were given for a clip that is trained on 25"):
        made.losses(replace(batch, codes=codes))
    assert made.losses(replace(batch, codes=codes[:, :25]))["loss"].isfinite()


@both
def test_one_clip_in_several_styles_is_the_mean_of_its_repetitions(flavour):
    made, batch = network(flavour), clips([60], [30])
    several = replace(batch, style=torch.eye(len(SUBJECTS)))
    names = ("features", "feature_lengths", "template", "vertices", "frames")
    repeated = Clips(style=several.style, **{name: torch.cat([getattr(batch, name)] * 3) for name in names})
    heard: list[int] = []
    made.audio_encoder.register_forward_pre_hook(lambda module, given: heard.append(len(given[0])))
    with torch.no_grad():
        together, apart = made.validation_losses(several), made.validation_losses(repeated)
    assert heard == [1, len(SUBJECTS)]
    for name, loss in together.items():
        torch.testing.assert_close(loss, apart[name], rtol=1e-5, atol=1e-6)


@both
def test_training_mode_without_noise_equals_evaluation(flavour):
    """The prior's own dropout of 0.1 stays off: it is in evaluation mode whatever the network is."""
    made, batch = network(calm(flavour)), clips([60, 41], [30, 20])
    quiet = made.losses(batch)["loss"]
    made.train()
    assert not made.autoencoder.training
    assert made.transformer_decoder.training
    torch.testing.assert_close(made.losses(batch)["loss"], quiet, rtol=1e-5, atol=0)


@both
def test_training_learns_the_codes_and_leaves_the_prior_alone(flavour):
    """The motion of a prior that has learned nothing cannot be learned either, so codes alone count here."""
    torch.manual_seed(0)
    made = CodeTalker.build(calm(flavour, motion_weight=0.0).face, facts(flavour), prior(flavour)).train()
    before = copy.deepcopy(made.autoencoder.state_dict())
    batch = clips([40, 30], [20, 15])
    optimiser = torch.optim.Adam(made.parameters(), lr=3e-3)
    for _ in range(50):
        optimiser.zero_grad()
        made.losses(batch)["loss"].backward()
        optimiser.step()
    learned = made.losses(batch)
    assert learned["code"] < 0.02
    assert learned["codes_right"] > 0.8
    for name, value in made.autoencoder.state_dict().items():
        assert torch.equal(value, before[name])


@both
def test_the_decoded_motion_teaches_through_the_frozen_prior(flavour):
    made, batch = network(flavour), clips([60, 41], [30, 20])
    made.losses(batch)["motion"].backward()
    assert made.feat_map.weight.grad is not None
    assert made.feat_map.weight.grad.any()
    assert all(parameter.grad is None for parameter in made.autoencoder.parameters())


@both
def test_half_precision_features_and_autocast(flavour):
    made, batch = network(flavour), clips([60, 41], [30, 20])
    exact = made.losses(batch)["loss"]
    halves = replace(batch, features=batch.features.half())
    assert torch.allclose(made.losses(halves)["loss"], exact, rtol=5e-2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = made.train().losses(batch)["loss"]
    rough.backward()
    assert rough.isfinite()


# -- the prior inside --------------------------------------------------------------------------------------------------


def test_the_prior_is_none_of_the_network_s_weights():
    made = network(VOCASET)
    state = made.state_dict()
    assert not [name for name in state if "autoencoder" in name]
    other = network(VOCASET, seed=1)
    kept = copy.deepcopy(other.autoencoder.state_dict())
    assert other.load_state_dict(state) == ([], [])
    for name, value in other.autoencoder.state_dict().items():
        assert torch.equal(value, kept[name])
    assert torch.equal(other.feat_map.weight, made.feat_map.weight)
    inner = {f"autoencoder.{name}": value for name, value in kept.items()}
    with pytest.raises(RuntimeError, match=r"Unexpected key.*autoencoder\."):
        other.load_state_dict(state | inner)
    with pytest.raises(RuntimeError, match=r"Missing key.*feat_map\.weight"):
        other.load_state_dict({name: value for name, value in state.items() if name != "feat_map.weight"})


def test_the_prior_is_frozen_and_follows_to_the_device():
    made = network(VOCASET)
    assert not any(parameter.requires_grad for parameter in made.autoencoder.parameters())
    assert made.double().autoencoder.quantize.embedding.weight.dtype == torch.float64
    copied = copy.deepcopy(network(VOCASET))
    assert not [name for name in copied.state_dict() if "autoencoder" in name]


@both
def test_every_tensor_follows_the_network_to_its_device(flavour):
    """The meta device refuses to mix with the CPU as a GPU does, and everybody has one. (Padding needs values.)"""
    with torch.device("meta"):
        made = CodeTalker.build(flavour.face, facts(flavour), MotionAutoencoder.build(flavour.prior, facts(flavour)))
    batch = clips([60, 60], [30, 30])
    moved = replace(batch.to("meta"), feature_lengths=batch.feature_lengths, frames=batch.frames)
    assert made.train().losses(moved)["loss"].device.type == "meta"
    motion = made.eval().predict(moved.features[0], moved.template[0], moved.style)
    assert motion.shape == (2, made.frames_for(60), 3 * VERTICES)


# -- official sizes ----------------------------------------------------------------------------------------------------

WAV2VEC = "facebook/wav2vec2-base-960h"
OFFICIAL = [
    (Settings(), PriorSettings(), DataFacts(5023, 30.0, "abcdefgh", 512, WAV2VEC), 326, 187_249_536),
    (
        Settings(layers=12, period=25, alignment="pairs"),
        PriorSettings(tokens=8, token_width=128, linear_around_codes=True, output_bias=False),
        DataFacts(23370, 25.0, "abcdef", 512, WAV2VEC),
        434,
        319_211_392,
    ),
]


@pytest.mark.parametrize(("settings", "inner", "about", "entries", "parameters"), OFFICIAL, ids=["vocaset", "biwi"])
def test_official_sizes_and_names(settings, inner, about, entries, parameters):
    with torch.device("meta"):
        made = CodeTalker.build(settings, about, MotionAutoencoder.build(inner, about))
    state = {published_name(name): value for name, value in made.state_dict().items()}
    assert len(state) + 1 == entries  # the table of positions, PPE.pe, is a formula here
    assert sum(value.numel() for value in state.values()) == parameters
    names = {name for name in state if not name.startswith("audio_encoder.")}
    assert names == _published_names(settings.layers)
    assert state["feat_map.weight"].shape == (1024, 1024)
    assert state["transformer_decoder.layers.0.linear1.weight"].shape == (2048, 1024)


def _published_names(layers: int) -> set[str]:
    modules = ["audio_feature_map", "vertice_map"]
    names = {"feat_map.weight", "learnable_style_emb.weight"}
    for i in range(layers):
        layer = f"transformer_decoder.layers.{i}"
        modules += [f"{layer}.{part}" for part in ("linear1", "linear2", "norm1", "norm2", "norm3")]
        for attention in ("self_attn", "multihead_attn"):
            modules.append(f"{layer}.{attention}.out_proj")
            names |= {f"{layer}.{attention}.in_proj_{part}" for part in ("weight", "bias")}
    return names | {f"{module}.{part}" for module in modules for part in ("weight", "bias")}


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_a_network_without_a_prior():
    with pytest.raises(DataError, match="predicts codes of a motion prior: train 'codetalker-vq' first"):
        CodeTalker.build(VOCASET.face, facts(VOCASET))


def test_a_prior_of_another_topology():
    other = replace(facts(VOCASET), vertices=7)
    with pytest.raises(DataError, match="trained for faces of 7 vertices, and these have 11"):
        CodeTalker.build(VOCASET.face, facts(VOCASET), MotionAutoencoder.build(VOCASET.prior, other))


@both
@pytest.mark.parametrize("length", [0, 1, 3])
def test_speech_too_short_for_two_frames(flavour, length):
    made = network(flavour)
    assert made.frames_for(length) < 2
    said = replace(speech(4), features=torch.randn(length, 16))
    with pytest.raises(DataError, match=f"{length} speech features are too short for 2 motion frames"):
        made.predict_all([speech(40), said])
    with pytest.raises(DataError, match="too short"):
        made.predict(said.features, said.template, said.styles)


def test_settings_and_data_that_do_not_go_together():
    odd = replace(VOCASET.face, heads=5)
    with pytest.raises(DataError, match="no multiple of heads"):
        CodeTalker.build(odd, facts(VOCASET), prior(VOCASET))
    with pytest.raises(DataError, match="needs motion at 25 fps"):
        CodeTalker.build(BIWI.face, facts(VOCASET), prior(BIWI))


def test_the_settings_name_their_prior_and_its_defaults_are_published():
    made: Sequence[float | str] = (Settings().feature_dim, Settings().layers, Settings().heads, Settings().period)
    assert made == (1024, 6, 4, 30)
    assert Settings.prior == MotionAutoencoder.name
    assert not list(Settings().problems())
