"""TalkingStyle beyond the golden cases: its style encoder, its mouth, batches, length, streams, official sizes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faces.errors import DataError
from models.official import published_name, read_official
from models.positions import alignment_mask, periodic_encoding, temporal_bias
from models.sound import standardise
from models.streaming import Look
from models.talking_face import Clips, DataFacts, Speech
from models.talkingstyle.face import TalkingStyle
from models.talkingstyle.settings import Settings
from stages.bench.sizes import ENCODERS
from tests.models import tiny
from tests.models.tiny import SPEECH, SUBJECTS, VERTICES, clips, one
from tests.models.tiny_talkingstyle import BIWI, BOTH, MOUTH, VOCASET, facts, network, stirred

both = pytest.mark.parametrize("settings", BOTH, ids=["vocaset", "biwi"])
CALM = {"dropout": 0.0, "encoder_dropout": 0.0, "layerdrop": 0.0, "mask_time_prob": 0.0}
EYE = torch.eye(len(SUBJECTS))


def literal_loop(made: TalkingStyle, memory: Tensor, style: Tensor, template: Tensor) -> Tensor:
    """(1, T, D) as published: torch's own decoder over the whole prefix in every round, all of it projected."""
    settings = made.settings
    layer = nn.TransformerDecoderLayer(
        settings.feature_dim, settings.heads, 2 * settings.feature_dim, dropout=0.0, batch_first=True
    )
    decoder = nn.TransformerDecoder(layer, settings.layers).eval()
    decoder.load_state_dict(made.transformer_decoder.state_dict())
    frames = memory.shape[1] // made.per_frame
    positions = periodic_encoding(frames, settings.feature_dim, settings.period)
    bias = temporal_bias(frames, settings.heads, settings.period)
    hidden_from = alignment_mask(frames, memory.shape[1], made.per_frame)
    tokens = style[:, None]
    for i in range(1, frames + 1):
        heard = tokens + positions[:i]
        decoded = decoder(heard, memory, tgt_mask=bias[:, :i, :i], memory_mask=hidden_from[:i])
        offsets = made.vertice_decoder(decoded)
        tokens = torch.cat((tokens, made.vertice_encoder(offsets[:, -1:]) + style[:, None]), dim=1)
    return offsets + template


def literal_style(made: TalkingStyle, subject: int) -> Tensor:
    """(d,) with torch's own attention: queries from the first table, one key and value from the second."""
    encoder = made.style_encoder
    part, width = encoder.attention, 4
    attention = nn.MultiheadAttention(width, width)
    attention.load_state_dict(part.attention.state_dict())
    own, other = encoder.obj_vector(EYE[subject]), encoder.my_obj_vector(torch.tensor(subject))
    query, key, value = part.Wq(own[None, :, None]), part.Wk(other[None, :, None]), part.Wv(other[None, :, None])
    attended, _ = attention(query, key, value)  # one step of a batch of d
    return F.relu(own + part.head(part.norm(attended))[0, :, 0])


# -- motion ------------------------------------------------------------------------------------------------------------


@both
def test_an_untrained_network_returns_the_template_and_its_layers_are_alike(settings):
    made, batch = TalkingStyle.build(settings, facts(settings)).eval(), clips([50], [30])
    motion = made.predict(batch.features[0], batch.template[0], batch.style)
    assert torch.equal(motion, batch.template[:, None].expand_as(motion))
    first, *others = [layer.state_dict() for layer in made.transformer_decoder.layers]
    assert all(torch.equal(layer[name], first[name]) for layer in others for name in first)
    assert len(others) == settings.layers - 1


@both
def test_prediction_equals_the_literal_loop(settings):
    made, batch = network(settings), clips([99], [50])
    frames = made.frames_for(99)
    with torch.no_grad():
        memory = made.listen(batch.features, [99], [frames])
        expected = literal_loop(made, memory, made.style(batch.style), batch.template[0])
    motion = made.predict(batch.features[0], batch.template[0], batch.style)
    assert motion.shape == (1, frames, 3 * VERTICES)
    assert torch.allclose(motion, expected, atol=1e-5)
    with torch.enable_grad():  # the form that training takes
        hidden = made.decode_own(memory, made.style(batch.style))
    assert torch.allclose(made.to_vertices(hidden, batch.template[0]), expected, atol=1e-5)


@both
def test_clips_and_styles_at_once_equal_each_alone(settings):
    made = network(settings)
    styles = torch.cat((EYE, torch.full((1, len(SUBJECTS)), 1 / len(SUBJECTS))))
    batches = [clips([length], [2]) for length in (41, 80, 20)]
    speeches = [
        Speech(batch.features[0], batch.template[0], styles[:count])
        for batch, count in zip(batches, (1, 4, 2), strict=True)
    ]
    for speech, motion in zip(speeches, made.predict_all(speeches), strict=True):
        assert motion.shape == (len(speech.styles), made.frames_for(len(speech.features)), 3 * VERTICES)
        for style, own in zip(speech.styles, motion, strict=True):
            alone = made.predict(speech.features, speech.template, style[None])
            assert torch.allclose(alone[0], own, atol=1e-5)
    assert not torch.allclose(motion[0], motion[1], atol=1e-2)


@both
def test_more_than_600_frames_are_one_consistent_run(settings):
    made, length = network(settings), 1300
    frames = made.frames_for(length)
    assert frames >= 650
    with torch.no_grad():
        memory = made.listen(torch.randn(1, length, 16), [length], [frames])
        style = made.style(EYE[:1])
        hidden = made.decode_own(memory, style)
        fed_back = made.vertice_encoder(made.vertice_decoder(hidden[:, :-1])) + style[:, None]
        tokens = torch.cat((style[:, None], fed_back), dim=1)
        whole = made.transformer_decoder(tokens + periodic_encoding(frames, 16, settings.period), memory)
    assert torch.allclose(whole, hidden, atol=1e-5)


@both
def test_teacher_forcing_begins_with_the_encoders_bias_and_roll_out_does_not(settings):
    made, batch = network(settings), clips([60], [20])
    with torch.no_grad():
        memory, style = made.listen(batch.features, [60], [20]), made.style(batch.style)
        offsets = batch.vertices - batch.template[:, None]

        def first_frames() -> tuple[Tensor, Tensor]:
            return made.decode_forced(memory, style, offsets)[:, 0], made.decode_own(memory, style)[:, 0]

        forced, own = first_frames()
        assert not torch.allclose(forced, own, atol=1e-3)
        made.vertice_encoder.bias.zero_()
        forced, own = first_frames()
    assert torch.allclose(forced, own, atol=1e-5)


@both
@pytest.mark.parametrize("block", [1, 7, 1000])
def test_motion_in_blocks_is_the_whole_motion(settings, block):
    made, batch = network(settings), clips([91], [2])
    said = Speech(batch.features[0], batch.template[0], EYE[:2])
    parts = list(made.predict_blocks(said, block))
    torch.testing.assert_close(torch.cat(parts, dim=1), made.predict_all([said])[0], atol=1e-6, rtol=0)


def test_a_stream_that_hears_all_is_what_offline_gives():
    """With a look ahead beyond the end, for pairs of features, which need no clip's length; and without an end."""
    torch.manual_seed(0)
    about = replace(facts(BIWI), channels=80)
    made = stirred(TalkingStyle.build(BIWI, about)).eval()
    wave = (0.1 * np.random.default_rng(0).standard_normal(400 + 320 * 99)).astype(np.float32)
    template, style = torch.linspace(-1, 1, 3 * VERTICES), torch.tensor([0.25, 0.75, 0.0])
    expected = made.predict(made.features_of(standardise(wave)), template, style[None])[0]
    assert expected.std() > 0.1
    for look in (Look(past=1000.0, ahead=1000.0), Look(ahead=None)):
        blocks = np.split(wave, range(1000, len(wave), 1000))
        spoken = torch.cat(list(made.stream(blocks, template, style, look)))
        torch.testing.assert_close(spoken, expected, atol=1e-5, rtol=0)


# -- style -------------------------------------------------------------------------------------------------------------


def test_a_subjects_style_is_that_of_the_attention_written_out():
    made = network(VOCASET)
    with torch.no_grad():
        styles = made.style(EYE)
        for subject, style in enumerate(styles):
            torch.testing.assert_close(style, literal_style(made, subject), atol=1e-6, rtol=0)
    assert (styles >= 0).all()
    assert (styles == 0).any()


def test_a_mixture_of_subjects_is_that_mixture_of_their_styles():
    made = network(VOCASET)
    shares = torch.tensor([[0.2, 0.5, 0.3], [0.49, 0.51, 0.0], [0.51, 0.49, 0.0]])
    with torch.no_grad():
        alone = torch.cat([made.style(EYE[i : i + 1]) for i in range(len(SUBJECTS))])
        mixed = made.style(shares)
        assert torch.equal(made.style(EYE), alone)
    torch.testing.assert_close(mixed, shares @ alone, atol=1e-6, rtol=0)
    assert (mixed >= 0).all()
    # It does not jump where another subject's share becomes the largest.
    assert (mixed[1] - mixed[2]).abs().max() < 0.03 * (alone[0] - alone[1]).abs().max()


def test_queries_and_keys_of_the_style_learn_nothing():
    made, batch = network(VOCASET), clips([60], [20])
    made.losses(batch)["loss"].backward()
    attention = made.style_encoder.attention
    assert all(p.grad is None for part in (attention.Wq, attention.Wk) for p in part.parameters())
    packed = attention.attention.in_proj_weight.grad
    assert (packed[:8] == 0).all()
    assert (packed[8:] != 0).any()
    assert (made.style_encoder.my_obj_vector.weight.grad != 0).any()


def test_every_row_of_a_batch_draws_its_own_dropout_of_style():
    made = network(VOCASET).train()
    torch.manual_seed(3)
    first, second = made.style(EYE[[1, 1]])
    assert not torch.equal(first, second)
    calm = network(replace(VOCASET, dropout=0.0))
    torch.testing.assert_close(calm.train().style(EYE), calm.eval().style(EYE))


def test_dropout_of_style_keeps_its_mean():
    """Before the relu, which is taken away here by a first table far above it."""
    made = network(VOCASET)
    nn.init.constant_(made.style_encoder.obj_vector.weight, 50.0)
    expected = made.style(EYE[:1])
    # Attention's dropout acts before a norm, whose mean it does not keep: here only that on the result is on.
    made.train().style_encoder.attention.attention.eval()
    torch.manual_seed(0)
    drawn = made.style(EYE[:1].expand(4000, -1))
    torch.testing.assert_close(drawn.mean(0), expected[0], atol=0.05, rtol=0)
    share = (drawn[:, 0] == 50.0).float().mean()
    assert abs(float(share) - 0.1) < 0.02


# -- a new speaker -----------------------------------------------------------------------------------------------------

SHARES = [0.2, 0.0, 0.8]


@pytest.mark.parametrize("kind", ["talkingstyle", "faceformer"])
@pytest.mark.parametrize("training", [False, True])
def test_a_new_subject_begins_as_a_mixture(kind, training):
    made = network(VOCASET) if kind == "talkingstyle" else tiny.network(tiny.VOCASET)
    before, batch = made.style(EYE).detach(), clips([60], [20])
    [(table, own)] = made.train(training).add_subject(SHARES)
    made.eval()
    assert made.subjects == len(SUBJECTS) + 1
    styles = made.style(torch.eye(len(SUBJECTS) + 1)).detach()
    assert torch.equal(styles[:-1], before)
    torch.testing.assert_close(styles[-1], torch.tensor(SHARES) @ before, atol=2e-6, rtol=0)
    assert (own.shape, int(own.sum())) == (table.shape, 16)
    assert any(table is parameter for parameter in made.parameters())
    both_ways = made.predict(batch.features[0], batch.template[0], torch.tensor([[*SHARES, 0.0], [0.0, 0.0, 0.0, 1.0]]))
    torch.testing.assert_close(both_ways[0], both_ways[1], atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match="3 weights for a table of 4 subjects"):
        made.add_subject(SHARES)


def test_every_channel_of_a_new_subject_can_learn():
    """Channels that are 0 in all of the mixture's styles too."""
    made, batch = network(VOCASET), clips([60], [20])
    with torch.no_grad():
        made.style_encoder.obj_vector.weight[:4] = -50.0
    [(table, own)] = made.add_subject(SHARES)
    assert (made.style(torch.eye(4))[-1, :4] < 1e-5).all()
    made.losses(replace(batch, style=torch.eye(4)[3:]))["loss"].backward()
    assert (table.grad[own] != 0).all()


def test_a_new_subjects_network_is_stored_and_loaded():
    made = network(VOCASET)
    made.add_subject(SHARES)
    wider = TalkingStyle.build(VOCASET, replace(facts(VOCASET), train_subjects=(*SUBJECTS, "new"))).eval()
    wider.load_state_dict(made.state_dict())
    assert torch.equal(wider.style(torch.eye(4)), made.style(torch.eye(4)))


# -- losses ------------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize("entries", ["coordinates", "vertices"])
def test_the_loss_is_that_of_all_and_of_the_mouth(settings, forced, entries):
    made = network(replace(settings, teacher_forcing=forced, mouth_entries=entries, mouth_weight=0.3))
    batch = clips([60], [30])
    with torch.no_grad():
        lesson, style = made.hear(batch), made.style(batch.style)
        offsets = batch.vertices - batch.template[:, None]
        hidden = made.decode_forced(lesson.memory, style, offsets) if forced else made.decode_own(lesson.memory, style)
        wrong = (made.to_vertices(hidden, batch.template[0]) - batch.vertices).square()
        found = made.losses(batch)
    mouth = wrong[..., list(MOUTH)] if entries == "coordinates" else wrong.unflatten(2, (-1, 3))[:, :, list(MOUTH)]
    torch.testing.assert_close(found["motion"], wrong.mean())
    torch.testing.assert_close(found["mouth"], mouth.mean())
    torch.testing.assert_close(found["loss"], 0.7 * wrong.mean() + 0.3 * mouth.mean())


@both
@pytest.mark.parametrize("forced", [False, True])
def test_a_padded_batch_is_the_mean_of_its_clips(settings, forced):
    made = network(replace(settings, teacher_forcing=forced))
    batch = clips([60, 41, 83], [33, 30, 36])
    together = made.losses(batch)
    singles = [made.losses(one(batch, i)) for i in range(3)]
    for name, loss in together.items():
        assert torch.allclose(loss, torch.stack([single[name] for single in singles]).mean(), rtol=1e-5)
    alone = torch.stack([single["loss"] for single in singles]).mean()
    parameters = [p for p in made.parameters() if p.requires_grad]
    gradients = [torch.autograd.grad(value, parameters, allow_unused=True) for value in (together["loss"], alone)]
    for padded, single in zip(*gradients, strict=True):
        assert (padded is None) == (single is None)
        assert padded is None or torch.allclose(padded, single, rtol=1e-3, atol=1e-5)


def test_biwi_motion_is_cut_to_its_audio_before_the_transformer():
    made, batch = network(BIWI), clips([60, 41], [33, 30])
    cut, heard = replace(batch, frames=torch.tensor([30, 20])), []
    made.audio_encoder.register_forward_pre_hook(lambda module, given: heard.append((given[0].shape[1], given[1])))
    assert torch.equal(made.losses(batch)["loss"], made.losses(cut)["loss"])
    assert heard == [(60, [60, 40])] * 2
    made.losses(replace(batch, frames=torch.tensor([20, 20])))
    assert heard[-1] == (40, [40, 40])


@both
def test_validation_reports_both_ways(settings):
    made, batch = network(settings), clips([60, 41], [30, 20])
    with torch.no_grad():
        found, own = made.validation_losses(batch), made.losses(batch)
        forced = network(replace(settings, teacher_forcing=True)).losses(batch)
    assert found.keys() == {"loss", "motion", "mouth", "teacher_forced"}
    assert all(torch.allclose(found[name], own[name]) for name in own)
    assert torch.allclose(found["teacher_forced"], forced["loss"])
    assert not torch.allclose(found["teacher_forced"], found["loss"], rtol=1e-3)


@both
def test_one_clip_in_several_styles_is_the_mean_of_its_repetitions(settings):
    made, batch = network(settings), clips([60], [33])
    names = ("features", "feature_lengths", "template", "vertices", "frames")
    repeated = Clips(style=EYE, **{name: torch.cat([getattr(batch, name)] * len(EYE)) for name in names})
    heard = []
    made.audio_encoder.register_forward_pre_hook(lambda module, given: heard.append(len(given[0])))
    with torch.no_grad():
        together, apart = made.validation_losses(replace(batch, style=EYE)), made.validation_losses(repeated)
    assert heard == [1, len(EYE)]
    for name, loss in together.items():
        torch.testing.assert_close(loss, apart[name], rtol=1e-5, atol=0)


@pytest.mark.parametrize("made", [network(VOCASET), tiny.network(tiny.VOCASET)], ids=["talkingstyle", "faceformer"])
def test_what_was_heard_once_serves_many_losses(made):
    batch, heard = clips([60, 41], [33, 30]), []
    with torch.no_grad():
        expected = made.losses(batch)
        made.audio_encoder.register_forward_pre_hook(lambda *_: heard.append(1))
        lesson = made.hear(batch)
        for _ in range(3):
            found = made.lesson_losses(lesson, batch)
            assert all(torch.equal(found[name], loss) for name, loss in expected.items())
    assert heard == [1]


@both
def test_training_learns_and_noise_follows_the_seed(settings):
    made, batch = network(settings).train(), clips([40, 30], [20, 15])

    def loss(seed: int) -> float:
        torch.manual_seed(seed)
        return float(made.losses(batch)["loss"].detach())

    assert loss(1) == loss(1) != loss(2)
    torch.manual_seed(0)
    made = TalkingStyle.build(replace(settings, **CALM, layers=2), facts(settings))
    optimiser = torch.optim.Adam([p for p in made.parameters() if p.requires_grad], lr=3e-3)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        found = made.losses(batch)["loss"]
        found.backward()
        optimiser.step()
        losses.append(float(found.detach()))
    assert losses[-1] < 0.6 * losses[0]


@both
def test_training_mode_without_noise_equals_evaluation(settings):
    made, batch = network(replace(settings, **CALM)), clips([60, 41], [30, 20])
    calm = made.losses(batch)["loss"]
    assert torch.allclose(made.train().losses(batch)["loss"], calm, rtol=1e-5)


@both
def test_half_precision_features_and_autocast(settings):
    made, batch = network(settings), clips([60, 41], [30, 20])
    exact = made.losses(batch)["loss"]
    assert torch.allclose(made.losses(replace(batch, features=batch.features.half()))["loss"], exact, rtol=1e-2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = made.train().losses(batch)["loss"]
        rough.backward()
        motion = made.eval().predict(batch.features[0], batch.template[0], batch.style)
    assert rough.isfinite()
    assert motion.isfinite().all()


@both
def test_every_tensor_follows_the_network_to_its_device(settings):
    """The meta device refuses to mix with the CPU as a GPU does, and everybody has one. (Padding needs values.)"""
    made = TalkingStyle.build(settings, facts(settings)).train().to("meta")
    batch = clips([60, 60], [30, 30])
    moved = replace(batch.to("meta"), feature_lengths=batch.feature_lengths, frames=batch.frames)
    assert made.losses(moved)["mouth"].device.type == "meta"
    assert made.validation_losses(moved)["teacher_forced"].device.type == "meta"
    motion = made.eval().predict(moved.features[0], moved.template[0], moved.style)
    assert motion.shape == (2, made.frames_for(60), 3 * VERTICES)


@both
def test_the_unit_of_motion_changes_no_motion(settings):
    plain = network(settings)
    scaled = TalkingStyle.build(replace(settings, motion_scale=0.01), facts(settings)).eval()
    scaled.load_official(plain.state_dict())
    batch = clips([50], [24])
    spoken = [face.predict(batch.features[0], batch.template[0], EYE) for face in (plain, scaled)]
    torch.testing.assert_close(spoken[0], spoken[1], atol=1e-5, rtol=1e-5)
    for name, loss in plain.validation_losses(batch).items():
        torch.testing.assert_close(scaled.validation_losses(batch)[name] * 0.01**2, loss, atol=0, rtol=1e-4)


# -- the mouth's region ------------------------------------------------------------------------------------------------


def test_the_mouth_is_wanted_of_the_data_where_it_counts():
    assert VOCASET.wants().regions == ("lips",)
    assert replace(VOCASET, mouth="outer_lips").wants().regions == ("outer_lips",)
    assert replace(VOCASET, mouth_weight=0.0).wants().regions == ()
    assert "mouth = '' names no region" in refusal(replace(VOCASET, mouth=""), facts(VOCASET))


def test_without_a_mouth_the_loss_is_that_of_all():
    settings, batch = replace(VOCASET, mouth_weight=0.0), clips([60], [30])
    made = network(settings)
    assert made.mouth is None
    with torch.no_grad():
        assert torch.equal(made.losses(batch)["loss"], network(VOCASET).losses(batch)["motion"])


def test_a_network_that_does_not_know_the_mouth_speaks_and_counts_all_vertices_alike():
    made = TalkingStyle.build(VOCASET, replace(facts(VOCASET), regions={})).eval()
    batch = clips([60], [30])
    assert made.predict(batch.features[0], batch.template[0], batch.style).isfinite().all()
    knowing = TalkingStyle.build(VOCASET, facts(VOCASET)).eval()
    knowing.load_state_dict(made.state_dict())
    assert made.losses(batch).keys() == {"loss"}
    assert torch.equal(made.losses(batch)["loss"], knowing.losses(batch)["motion"])


@pytest.mark.parametrize(("entries", "most"), [("coordinates", 3 * VERTICES - 1), ("vertices", VERTICES - 1)])
def test_a_mouth_outside_the_face_is_refused(entries, most):
    settings = replace(VOCASET, mouth_entries=entries)

    def about(*mouth: int) -> DataFacts:
        return replace(facts(VOCASET), regions={"lips": mouth})

    made = TalkingStyle.build(settings, about(0, most))
    assert int(made.mouth.max()) == 3 * VERTICES - 1
    said = refusal(settings, about(0, most + 1, 5000))
    assert f"region 'lips' names {most + 1}, and the data's faces have {most + 1} {entries}" in said
    assert "names -1" in refusal(settings, about(3, -1))
    assert "is empty" in refusal(settings, about())


# -- official files ----------------------------------------------------------------------------------------------------

WAV2VEC = {"encoder": "some/encoder", "config": {"model_type": "hubert", **SPEECH}}


def published(made: TalkingStyle) -> dict[str, Tensor]:
    """The state dict as the released code saves it: old weight norm, with the position table."""
    state = {published_name(name): value for name, value in made.state_dict().items()}
    period = made.settings.period
    return {"PPE.pe": periodic_encoding(period * (600 // period + 1), 16, period)[None], **state}


@pytest.mark.parametrize("change", ["plain", "wrapped", "without table"])
def test_an_official_file_speaks_as_before(tmp_path, change):
    trained, batch = network(VOCASET, seed=5, **WAV2VEC), clips([60], [33])
    state = published(trained)
    assert state["PPE.pe"].shape == (1, 630, 16)
    assert "audio_encoder.encoder.pos_conv_embed.conv.weight_g" in state
    if change == "without table":
        del state["PPE.pe"]
    wrapped = {"state_dict": {f"module.{name}": value for name, value in state.items()}}
    torch.save(wrapped if change == "wrapped" else state, tmp_path / "vocaset.pth")
    made = network(VOCASET, seed=6, **WAV2VEC)
    made.load_official(read_official(tmp_path / "vocaset.pth"))
    arguments = (batch.features[0], batch.template[0], batch.style)
    assert torch.equal(made.predict(*arguments), trained.predict(*arguments))


def test_wrong_files_are_refused():
    made = network(VOCASET, **WAV2VEC)
    state = published(made)
    for name, value, said in (
        ("vertice_encoder.weight", torch.zeros(16, 300), r"vertice_encoder\.weight is \(16, 300\)"),
        ("style_encoder.obj_vector.weight", torch.zeros(16, 8), r"obj_vector\.weight is \(16, 8\)"),
        ("PPE.pe", periodic_encoding(625, 16, 25)[None], "another period than 30"),
        ("vertice_map.weight", torch.zeros(16, 33), r"unknown vertice_map\.weight"),
    ):
        with pytest.raises(DataError, match=said):
            made.load_official({**state, name: value})
    del state["style_encoder.attention.Wq.weight"]
    with pytest.raises(DataError, match=r"missing style_encoder\.attention\.Wq\.weight"):
        made.load_official(state)
    with pytest.raises(DataError, match=r"missing .*unknown obj_vector\.weight"):
        made.load_official(tiny.network(tiny.VOCASET, **WAV2VEC).state_dict())


OFFICIAL = [
    (Settings(), 5023, 30.0, 8, 317.8, 313.5),
    (Settings(feature_dim=128, period=25, alignment="pairs"), 23370, 25.0, 6, 334.8, 330.6),
]


@pytest.mark.parametrize(
    ("settings", "vertices", "fps", "subjects", "parameters", "trainable"), OFFICIAL, ids=["vocaset", "biwi"]
)
def test_official_sizes_and_names(settings, vertices, fps, subjects, parameters, trainable):
    hubert = "facebook/hubert-large-ls960-ft"
    about = DataFacts(vertices, fps, "abcdefgh"[:subjects], 512, hubert, ENCODERS["talkingstyle"], {"lips": [0, 3, 3]})
    with torch.device("meta"):
        made = TalkingStyle.build(settings, about)
    counts = {name: p.numel() for name, p in made.named_parameters()}
    learned = sum(counts[name] for name, p in made.named_parameters() if p.requires_grad)
    assert [round(count / 1e6, 1) for count in (sum(counts.values()), learned)] == [parameters, trainable]
    names = {published_name(name) for name in made.state_dict()}
    assert len(names) + 1 == 553  # the table of positions, PPE.pe, is a formula here
    d, wide = settings.feature_dim, 3 * vertices
    shapes = {published_name(name): tuple(value.shape) for name, value in made.state_dict().items()}
    attention = "style_encoder.attention"
    expected = {
        "audio_feature_map.weight": (d, 1024), "vertice_encoder.weight": (d, wide), "vertice_decoder.weight": (wide, d),
        "transformer_decoder.layers.5.self_attn.in_proj_weight": (3 * d, d),
        "transformer_decoder.layers.0.linear1.weight": (2 * d, d), "audio_encoder.masked_spec_embed": (1024,),
        "style_encoder.obj_vector.weight": (d, subjects), "style_encoder.my_obj_vector.weight": (subjects, d),
        f"{attention}.attention.in_proj_weight": (12, 4), f"{attention}.attention.out_proj.weight": (4, 4),
        f"{attention}.norm.bias": (4,), f"{attention}.head.weight": (1, 4),
        **{f"{attention}.W{part}.weight": (4, 1) for part in "qkv"},
    }  # fmt: skip
    assert {name: shapes.get(name) for name in expected} == expected


# -- what is refused ---------------------------------------------------------------------------------------------------


def refusal(settings: Settings, about: DataFacts) -> str:
    with pytest.raises(DataError) as caught:
        TalkingStyle.build(settings, about)
    return str(caught.value)


def test_settings_and_data_that_do_not_go_together():
    assert "no multiple of heads" in refusal(replace(VOCASET, heads=5), facts(VOCASET))
    assert "needs motion at 25 fps" in refusal(BIWI, facts(VOCASET))


def test_the_package_is_light_to_import():
    heavy = "{'torch', 'numpy', 'transformers'}"
    code = f"import sys, models.talkingstyle as t; t.Settings().wants(); print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
