"""FaceFormer beyond the golden cases and what all faces do (`test_all_faces`): the naive loop, official sizes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.decode import Naive
from faces.errors import DataError
from models.faceformer.face import FaceFormer
from models.faceformer.settings import Settings
from models.official import published_name
from models.talking_face import DataFacts
from tests.models.tiny import BIWI, BOTH, SPEECH, VERTICES, VOCASET, clips, facts, network, one

both = pytest.mark.parametrize("settings", BOTH, ids=["vocaset", "biwi"])
CALM = {"dropout": 0.0, "encoder_dropout": 0.0, "layerdrop": 0.0, "mask_time_prob": 0.0}


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


def test_log_mel_networks_have_no_speech_weights_and_no_convolutions():
    made = network(VOCASET)
    with pytest.raises(DataError, match="log-mel"):
        made.load_speech_weights("facebook/wav2vec2-base-960h")
    with pytest.raises(DataError, match="log-mel"):
        made.audio_encoder.convolve(torch.randn(1, 16000))
