"""FaceFormer beyond the golden cases: batches, length, styles, training mode, devices, official sizes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from benchmarks.decode import Naive
from faces.errors import DataError
from models.faceformer.face import FaceFormer
from models.faceformer.settings import Settings
from models.official import published_name
from models.positions import periodic_encoding
from models.talking_face import Clips, DataFacts, Speech
from tests.models.tiny import BIWI, BOTH, SPEECH, SUBJECTS, VERTICES, VOCASET, clips, facts, network, one

both = pytest.mark.parametrize("settings", BOTH, ids=["vocaset", "biwi"])
CALM = {"dropout": 0.0, "encoder_dropout": 0.0, "layerdrop": 0.0, "mask_time_prob": 0.0}


@both
def test_an_untrained_network_returns_the_template(settings):
    made, batch = FaceFormer.build(settings, facts(settings)).eval(), clips([50], [30])
    motion = made.predict(batch.features[0], batch.template[0], batch.style)
    assert torch.equal(motion, batch.template[:, None].expand_as(motion))


@both
def test_prediction_equals_the_naive_loop(settings):
    made, batch = network(settings), clips([99], [50])
    frames = made.frames_for(99)
    with torch.no_grad():
        memory = made.listen(batch.features, [99], [frames])
        expected = Naive(made)(memory, made.obj_vector(batch.style), batch.template[0])
    motion = made.predict(batch.features[0], batch.template[0], batch.style)
    assert motion.shape == (1, frames, 3 * VERTICES)
    assert torch.allclose(motion, expected, atol=1e-5)


@both
def test_several_styles_of_one_clip_equal_each_alone(settings):
    made, batch = network(settings), clips([80], [40])
    styles = torch.cat((torch.eye(len(SUBJECTS)), torch.full((1, len(SUBJECTS)), 1 / len(SUBJECTS))))
    together = made.predict(batch.features[0], batch.template[0], styles)
    for style, motion in zip(styles, together, strict=True):
        alone = made.predict(batch.features[0], batch.template[0], style[None])
        assert torch.allclose(alone[0], motion, atol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=1e-2)


@both
def test_clips_and_styles_at_once_equal_each_alone(settings):
    made, styles = network(settings), torch.eye(len(SUBJECTS))
    batches = [clips([length], [2]) for length in (41, 80, 20)]
    speeches = [
        Speech(batch.features[0], batch.template[0], styles[:count])
        for batch, count in zip(batches, (1, 3, 2), strict=True)
    ]
    for speech, motion in zip(speeches, made.predict_all(speeches), strict=True):
        alone = made.predict(speech.features, speech.template, speech.styles)
        assert motion.shape == (len(speech.styles), made.frames_for(len(speech.features)), 3 * VERTICES)
        assert torch.allclose(alone, motion, atol=1e-5)


@both
def test_more_than_600_frames_are_one_consistent_run(settings):
    made, length = network(settings), 1300
    frames = made.frames_for(length)
    assert frames >= 650
    with torch.no_grad():
        memory = made.listen(torch.randn(1, length, 16), [length], [frames])
        style = made.obj_vector(torch.eye(len(SUBJECTS))[:1])
        hidden = made.decode_own(memory, style)
        fed_back = made.vertice_map(made.vertice_map_r(hidden[:, :-1])) + style[:, None]
        tokens = torch.cat((style[:, None], fed_back), dim=1)
        positions = periodic_encoding(frames, tokens.shape[2], settings.period)
        whole = made.transformer_decoder(tokens + positions, memory)
    assert torch.allclose(whole, hidden, atol=1e-5)


@both
@pytest.mark.parametrize("forced", [False, True])
def test_a_padded_batch_is_the_mean_of_its_clips(settings, forced):
    made = network(replace(settings, teacher_forcing=forced))
    batch = clips([60, 41, 83], [33, 30, 36])
    loss = made.losses(batch)["loss"]
    alone = torch.stack([made.losses(one(batch, i))["loss"] for i in range(3)]).mean()
    assert torch.allclose(loss, alone, rtol=1e-5)
    parameters = [p for p in made.parameters() if p.requires_grad]
    # Evaluation mode: no masking, so masked_spec_embed takes no part.
    gradients = [torch.autograd.grad(value, parameters, allow_unused=True) for value in (loss, alone)]
    for padded, single in zip(*gradients, strict=True):
        assert (padded is None) == (single is None)
        assert padded is None or torch.allclose(padded, single, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("family", ["hubert", "wavlm"])
def test_other_encoders_pad_exactly_too(family):
    made = network(VOCASET, encoder="some/encoder", config={"model_type": family, **SPEECH})
    batch = clips([60, 41], [33, 30])
    alone = torch.stack([made.losses(one(batch, i))["loss"] for i in range(2)]).mean()
    assert torch.allclose(made.losses(batch)["loss"], alone, rtol=1e-5)


def test_biwi_motion_is_cut_to_its_audio_in_a_batch():
    made, batch = network(BIWI), clips([60, 41], [33, 30])
    cut = replace(batch, frames=torch.tensor([30, 20]))
    assert torch.equal(made.losses(batch)["loss"], made.losses(cut)["loss"])


def test_vocaset_speech_is_stretched_to_its_motion():
    made, batch = network(VOCASET), clips([60], [50])
    with torch.no_grad():
        assert made.listen(batch.features, [60], [50]).shape[1] == 50
    assert made.frames_for(60) == 36


@both
def test_training_mode_without_noise_equals_evaluation(settings):
    made, batch = network(replace(settings, **CALM)), clips([60, 41], [30, 20])
    calm = made.losses(batch)["loss"]
    assert torch.allclose(made.train().losses(batch)["loss"], calm, rtol=1e-5)


@both
def test_noise_in_training_follows_the_seed(settings):
    made, batch = network(settings).train(), clips([60, 41], [30, 20])

    def loss(seed: int) -> float:
        torch.manual_seed(seed)
        return float(made.losses(batch)["loss"].detach())

    assert loss(1) == loss(1)
    assert loss(1) != loss(2)


@both
def test_training_learns_a_motion_that_follows_speech(settings):
    torch.manual_seed(0)
    made = FaceFormer.build(replace(settings, **CALM), facts(settings))
    batch = clips([40, 30], [20, 15])
    optimiser = torch.optim.Adam([p for p in made.parameters() if p.requires_grad], lr=3e-3)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = made.losses(batch)["loss"]
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_validation_reports_both_ways():
    made, batch = network(VOCASET), clips([60, 41], [33, 30])
    with torch.no_grad():
        both_ways = made.validation_losses(batch)
        forced = network(replace(VOCASET, teacher_forcing=True)).losses(batch)["loss"]
        own = made.losses(batch)["loss"]
    assert torch.allclose(both_ways["loss"], own)
    assert torch.allclose(both_ways["teacher_forced"], forced)
    assert not torch.allclose(own, forced, rtol=1e-3)


@both
def test_one_clip_in_several_styles_is_the_mean_of_its_repetitions(settings):
    made, batch = network(settings), clips([60], [33])
    styles = torch.eye(len(SUBJECTS))
    several = replace(batch, style=styles)
    names = ("features", "feature_lengths", "template", "vertices", "frames")
    repeated = Clips(style=styles, **{name: torch.cat([getattr(batch, name)] * len(styles)) for name in names})
    heard = []
    made.audio_encoder.register_forward_pre_hook(lambda module, given: heard.append(len(given[0])))
    with torch.no_grad():
        together, apart = made.validation_losses(several), made.validation_losses(repeated)
    assert heard == [1, len(styles)]
    for name, loss in together.items():
        torch.testing.assert_close(loss, apart[name], rtol=1e-5, atol=0)


def test_the_kept_feedback_follows_the_weights():
    made, batch = network(VOCASET), clips([60], [33])
    arguments = (batch.features[0], batch.template[0], batch.style)
    before = made.predict(*arguments)
    with torch.no_grad():
        made.vertice_map.weight.mul_(1.5)
    changed = made.predict(*arguments)
    assert not torch.allclose(before, changed)
    made.vertice_map.weight.data = made.vertice_map.weight.data / 1.5
    assert torch.allclose(made.eval().predict(*arguments), before, atol=1e-5)


@both
def test_half_precision_features_and_autocast(settings):
    made, batch = network(settings), clips([60, 41], [30, 20])
    exact = made.losses(batch)["loss"]
    halves = replace(batch, features=batch.features.half())
    assert torch.allclose(made.losses(halves)["loss"], exact, rtol=1e-2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = made.train().losses(batch)["loss"]
        rough.backward()
        motion = made.eval().predict(batch.features[0], batch.template[0], batch.style)
    assert rough.isfinite()
    assert motion.isfinite().all()


@both
def test_every_tensor_follows_the_network_to_its_device(settings):
    """The meta device refuses to mix with the CPU as a GPU does, and everybody has one. (Padding needs values.)"""
    with torch.device("meta"):
        made = FaceFormer.build(settings, facts(settings)).train()
    batch = clips([60, 60], [30, 30])
    moved = replace(batch.to("meta"), feature_lengths=batch.feature_lengths, frames=batch.frames)
    assert made.losses(moved)["loss"].device.type == "meta"
    assert made.validation_losses(moved)["teacher_forced"].device.type == "meta"
    motion = made.eval().predict(moved.features[0], moved.template[0], moved.style)
    assert motion.shape == (2, made.frames_for(60), 3 * VERTICES)


# -- official sizes ----------------------------------------------------------------------------------------------------

OFFICIAL = [
    (Settings(), DataFacts(5023, 30.0, "abcdefgh", 512, "facebook/wav2vec2-base-960h"), 96_415_645, 92_215_197),
    (
        Settings(feature_dim=128, period=25, alignment="pairs"),
        DataFacts(23370, 25.0, "abcdef", 512, "facebook/wav2vec2-base-960h"),
        112_688_094,
        108_487_646,
    ),
]


@pytest.mark.parametrize(("settings", "about", "parameters", "trainable"), OFFICIAL, ids=["vocaset", "biwi"])
def test_official_sizes_and_names(settings, about, parameters, trainable):
    with torch.device("meta"):
        made = FaceFormer.build(settings, about)
    counts = {name: p.numel() for name, p in made.named_parameters()}
    assert sum(counts.values()) == parameters
    assert sum(counts[name] for name, p in made.named_parameters() if p.requires_grad) == trainable
    names = {published_name(name) for name in made.state_dict()}
    assert names == _published_names()
    assert len(names) + 1 == 237  # the table of positions, PPE.pe, is a formula here


def _published_names() -> set[str]:
    affine = ("weight", "bias")
    audio = "audio_encoder"
    names = {f"{audio}.masked_spec_embed"}
    names |= {f"{audio}.feature_extractor.conv_layers.{i}.conv.weight" for i in range(7)}
    names |= {f"{audio}.encoder.pos_conv_embed.conv.{part}" for part in ("bias", "weight_g", "weight_v")}
    modules = [f"{audio}.feature_extractor.conv_layers.0.layer_norm", f"{audio}.encoder.layer_norm"]
    modules += [f"{audio}.feature_projection.{part}" for part in ("layer_norm", "projection")]
    for i in range(12):
        layer = f"{audio}.encoder.layers.{i}"
        modules += [f"{layer}.attention.{part}_proj" for part in ("k", "v", "q", "out")]
        modules += [f"{layer}.{part}" for part in ("layer_norm", "final_layer_norm")]
        modules += [f"{layer}.feed_forward.{part}" for part in ("intermediate_dense", "output_dense")]
    decoder = "transformer_decoder.layers.0"
    for attention in ("self_attn", "multihead_attn"):
        names |= {f"{decoder}.{attention}.in_proj_{part}" for part in affine}
        modules.append(f"{decoder}.{attention}.out_proj")
    modules += [f"{decoder}.{part}" for part in ("linear1", "linear2", "norm1", "norm2", "norm3")]
    modules += ["audio_feature_map", "vertice_map", "vertice_map_r"]
    return names | {f"{module}.{part}" for module in modules for part in affine} | {"obj_vector.weight"}


# -- what is refused ---------------------------------------------------------------------------------------------------


def refusal(settings: Settings, about: DataFacts) -> str:
    with pytest.raises(DataError) as caught:
        FaceFormer.build(settings, about)
    return str(caught.value)


def test_settings_and_data_that_do_not_go_together():
    assert "no multiple of heads" in refusal(replace(VOCASET, heads=5), facts(VOCASET))
    assert "needs motion at 25 fps" in refusal(BIWI, facts(VOCASET))
    assert "encoder_width = 40" in refusal(replace(VOCASET, encoder_width=40), facts(VOCASET))
    wider = replace(facts(VOCASET, "some/encoder", SPEECH), channels=512)
    assert "512 channels" in refusal(VOCASET, wider)


def test_speech_too_short_for_a_frame():
    made = network(VOCASET)
    with pytest.raises(DataError, match="too short for one motion frame"):
        made.predict(torch.randn(1, 16), torch.zeros(3 * VERTICES), torch.eye(len(SUBJECTS))[:1])
    with pytest.raises(DataError, match="speech too short"):
        network(BIWI).losses(clips([40, 1], [20, 9]))


def test_log_mel_networks_have_no_speech_weights_and_no_convolutions():
    made = network(VOCASET)
    with pytest.raises(DataError, match="log-mel"):
        made.load_speech_weights("facebook/wav2vec2-base-960h")
    with pytest.raises(DataError, match="log-mel"):
        made.audio_encoder.convolve(torch.randn(1, 16000))


def test_the_package_is_light_to_import():
    heavy = "{'torch', 'numpy', 'transformers'}"
    code = f"import sys, models.faceformer as f; f.Settings(); print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("settings", BOTH, ids=["vocaset", "biwi"])
def test_the_unit_of_motion_changes_no_motion(settings):
    """Released weights loaded into a network that counts in other units speak as before; the loss has that unit."""
    plain = network(settings)
    scaled = FaceFormer.build(replace(settings, motion_scale=0.01), facts(settings)).eval()
    scaled.load_official(plain.state_dict())
    batch = clips([50], [24])
    spoken = [face.predict(batch.features[0], batch.template[0], torch.eye(len(SUBJECTS))) for face in (plain, scaled)]
    torch.testing.assert_close(spoken[0], spoken[1], atol=1e-5, rtol=1e-5)
    for name, loss in plain.validation_losses(batch).items():
        torch.testing.assert_close(scaled.validation_losses(batch)[name] * 0.01**2, loss, atol=0, rtol=1e-4)
