"""SelfTalk beyond the golden cases, and beyond what all faces do (`test_all_faces`): lips and text."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from faces.errors import DataError
from models.selftalk.face import SelfTalk
from models.selftalk.settings import Settings
from models.settings import Wants
from tests.models.all_faces import EYE, speech
from tests.models.tiny import SUBJECTS, VERTICES
from tests.models.tiny_selftalk import (
    BIWI,
    BOTH,
    CALM,
    LIPS,
    SILENT,
    VOCABULARY,
    VOCASET,
    WIDTH,
    clips,
    facts,
    network,
    one,
)

both = pytest.mark.parametrize("settings", BOTH, ids=["vocaset", "biwi"])
NAMES = {"loss", "position", "velocity", "latent", "text"}


# -- motion ------------------------------------------------------------------------------------------------------------


@both
def test_every_style_is_one_motion_that_is_held_once(settings):
    made, said = network(settings), speech(50, EYE)
    motion = made.predict(said.features, said.template, said.styles)
    assert motion.shape == (3, made.frames_for(50), 3 * VERTICES)
    assert motion.stride(0) == 0
    assert torch.equal(motion[0], made.predict(said.features, said.template, said.styles[1:2])[0])


@both
def test_every_frame_sees_the_whole_clip(settings):
    made, said = network(settings), speech(60)
    changed = said.features.clone()
    changed[-5:] *= -1
    before, after = (made.predict(heard, said.template, said.styles)[0] for heard in (said.features, changed))
    assert (before[0] - after[0]).abs().max() > 1e-4


def test_pairs_are_cut_behind_the_speech_encoder():
    """A feature of no frame is heard all the same: the published BIWI network cuts after its transformer."""
    made, batch = network(BIWI), clips([61], [20])
    changed = batch.features.clone()
    changed[:, 60] *= -1
    memories = [made.listen(heard, [61], [20]) for heard in (batch.features, changed)]
    assert memories[0].shape == (1, 20, 16)
    assert (memories[0] - memories[1]).abs().max() > 1e-5


@pytest.mark.parametrize(("frames", "length", "kept"), [(33, 61, 30), (20, 61, 20), (30, 60, 30)])
def test_biwi_motion_is_cut_to_its_audio_and_audio_to_its_motion(frames, length, kept):
    made = network(BIWI)
    lesson = made.hear(clips([length], [frames]))
    assert (lesson.frames, lesson.memory.shape[1], lesson.vertices.shape[1]) == ([kept], kept, kept)


def test_vocaset_speech_is_stretched_to_its_motion():
    made = network(VOCASET)
    assert made.hear(clips([60], [50])).memory.shape[1] == 50
    assert made.frames_for(205) == 122


# -- losses ------------------------------------------------------------------------------------------------------------


@both
def test_losses_are_those_of_the_formulas(settings):
    made, batch = network(settings), clips([60], [33])
    lesson = made.hear(batch)
    count = lesson.frames[0]
    steps = 2 * count if settings.alignment == "pairs" else 60
    hidden = made.decode(lesson.memory, lesson.frames)
    motion, truth = made.to_vertices(hidden, batch.template[0]), lesson.vertices
    offsets = (motion - batch.template)[0].unflatten(1, (-1, 3))
    features = made.interpret(offsets[:, list(LIPS)].flatten(1)[None], [count], [steps])
    chances = made.lm_head(features)[0].log_softmax(-1)
    expected = {
        "position": (motion - truth).square().mean(),
        "velocity": (motion.diff(dim=1) - truth.diff(dim=1)).square().mean(),
        "latent": (features - batch.text_hidden[:, :steps]).square().mean(),
        "text": torch.nn.functional.ctc_loss(chances, batch.text[0], (steps,), (3,), reduction="none") / 3,
    }
    weights = {name: getattr(settings, f"{name}_weight") for name in expected}
    expected["loss"] = sum(weight * expected[name] for name, weight in weights.items())
    losses = made.losses(batch)
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value.reshape(()), rtol=1e-4, atol=1e-6)
    parameters = [p for p in made.parameters() if p.requires_grad]
    found, plain = (
        torch.autograd.grad(loss, parameters, allow_unused=True) for loss in (losses["loss"], expected["loss"])
    )
    for own, known in zip(found, plain, strict=True):
        assert own is None or torch.allclose(own, known, rtol=1e-3, atol=1e-5)


def test_only_motion_and_interpreter_learn_at_first():
    """As published: with `vertice_map_r` zero no gradient reaches what is before it."""
    made = SelfTalk.build(VOCASET, facts(VOCASET)).eval()
    made.losses(clips([60], [33]))["loss"].backward()
    learning = {name.partition(".")[0] for name, p in made.named_parameters() if p.grad is not None and p.grad.any()}
    assert learning == {"vertice_map_r", "lip_map", "transformer", "lm_head"}


@both
def test_a_single_frame_has_no_velocity(settings):
    made = network(settings)
    losses = made.losses(clips([3, 60], [1, 30], [1, 4]))
    assert all(value.isfinite() for value in losses.values())
    assert made.losses(clips([3], [1], [1]))["velocity"] == 0
    assert made.predict_all([speech(2)])[0].isfinite().all()


@both
def test_an_empty_text_costs_the_path_of_blanks(settings):
    made, batch = network(settings), clips([20], [10], [0])
    features = []
    made.lm_head.register_forward_hook(lambda module, given, logits: features.append(logits))
    text = made.losses(batch)["text"]
    torch.testing.assert_close(text, -features[0].log_softmax(-1)[..., 0].sum())


def test_a_text_that_does_not_fit_costs_nothing():
    made, batch = network(VOCASET), clips([10], [6], [30])
    losses = made.losses(batch)
    assert losses["text"] == 0
    losses["loss"].backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in made.parameters())


@both
def test_without_text_there_is_no_interpreter(settings):
    made = network(replace(settings, **SILENT))
    assert not made.reads
    assert not any(name.startswith(("lip_map", "transformer.", "lm_head")) for name in made.state_dict())
    batch = clips([60, 41], [33, 30])
    silent = replace(batch, text_hidden=None, text=None, text_lengths=None)
    losses = made.losses(silent)
    assert losses.keys() == {"loss", "position", "velocity"}
    torch.testing.assert_close(losses["loss"], losses["position"] + 0.5 * losses["velocity"])
    with pytest.raises(DataError, match="reads no lips"):
        made.read_lips(batch.vertices[0], batch.template[0])


@both
def test_validation_is_the_error_of_positions(settings):
    made, batch = network(settings), clips([60, 41], [33, 30])
    with torch.no_grad():
        found, losses = made.validation_losses(batch), made.losses(batch)
    assert found.keys() == {"loss"}
    torch.testing.assert_close(found["loss"], losses["position"])
    single = replace(one(batch, 0), style=torch.eye(len(SUBJECTS)))
    torch.testing.assert_close(made.validation_losses(single), made.validation_losses(one(batch, 0)))


def test_the_encoders_dropouts_are_the_published_ones():
    made = SelfTalk.build(Settings(interpreter_layers=1, interpreter_heads=4), facts(VOCASET))
    layer = made.audio_encoder.encoder.layers[0]
    assert (layer.attention.drop, layer.dropout.p) == (0.1, 0.05)
    assert (layer.feed_forward.intermediate_dropout.p, layer.feed_forward.output_dropout.p) == (0.05, 0.05)
    assert (made.audio_encoder.feature_projection.dropout.p, made.audio_encoder.encoder.layerdrop) == (0.05, 0.05)


@both
def test_training_learns_all_four(settings):
    torch.manual_seed(0)
    made, batch = SelfTalk.build(replace(settings, **CALM), facts(settings)), clips([40, 30], [20, 15], [3, 4])
    optimiser = torch.optim.Adam([p for p in made.parameters() if p.requires_grad], lr=3e-3)
    history = []
    for _ in range(100):
        optimiser.zero_grad()
        losses = made.losses(batch)
        losses["loss"].backward()
        optimiser.step()
        history.append({name: float(value.detach()) for name, value in losses.items()})
    for name in NAMES:
        assert history[-1][name] < 0.95 * history[0][name], name


# -- reading lips ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("settings", "frames", "steps"), [
    (VOCASET, 44, 73), (VOCASET, 30, 50), (VOCASET, 1, 1), (BIWI, 37, 74), (BIWI, 29, 57),
])  # fmt: skip
def test_lips_are_read_at_50_hz_as_many_steps_as_published(settings, frames, steps):
    made, batch = network(settings), clips([100], [frames])
    assert made.reads
    assert made.vocabulary == VOCABULARY
    assert made.read_lips(batch.vertices[0], batch.template[0]).shape == (steps, len(VOCABULARY))


def test_only_the_lips_are_read_and_not_the_template():
    made, batch = network(VOCASET), clips([60], [30])
    motion, template = batch.vertices[0], batch.template[0]
    read = made.read_lips(motion, template)
    beside = motion.unflatten(1, (-1, 3)).clone()
    beside[:, [v for v in range(VERTICES) if v not in LIPS]] += 1.0
    assert torch.equal(made.read_lips(beside.flatten(1), template), read)
    torch.testing.assert_close(made.read_lips(motion + 1.0, template + 1.0), read, atol=1e-4, rtol=0)
    beside[:, LIPS[0]] += 1.0
    assert not torch.allclose(made.read_lips(beside.flatten(1), template), read, atol=1e-2)


def test_a_network_whose_lips_nobody_knows_speaks_but_does_not_read():
    told = replace(facts(VOCASET), regions={})
    made = SelfTalk.build(replace(VOCASET, lip_vertices=4), told).eval()
    assert not made.reads
    assert made.predict_all([speech(40)])[0].isfinite().all()
    with pytest.raises(DataError, match="reads 4 lip vertices, and nobody says which"):
        made.losses(clips([60], [30]))
    unknown = SelfTalk.build(replace(VOCASET, classes=7), replace(facts(VOCASET), vocabulary=()))
    assert not unknown.reads


@pytest.mark.parametrize(("settings", "about", "said"), [
    (VOCASET, {"regions": {}}, "the region 'lips' is not known"),
    (VOCASET, {"vocabulary": ()}, "the recogniser's vocabulary is not known"),
    (VOCASET, {"text_width": 0}, "the width of the recogniser's hidden states is not known"),
    (VOCASET, {"vocabulary": ("a", "b")}, "needs <pad>, the blank"),
    (replace(VOCASET, lip_vertices=5), {}, "lip_vertices = 5, and the region 'lips' has 4"),
    (replace(VOCASET, classes=5), {}, "classes = 5, and the recogniser's vocabulary has 7"),
    (replace(VOCASET, interpreter_heads=5), {}, "interpreter_heads = 5 does not divide the 24 channels"),
    (replace(VOCASET, heads=3), {}, "no multiple of heads = 3"),
    (replace(VOCASET, lips=""), {}, "lips = '' names no region"),
    (BIWI, {"fps": 30.0}, "needs motion at 25 fps"),
])  # fmt: skip
def test_settings_and_data_that_do_not_go_together(settings, about, said):
    with pytest.raises(DataError, match=said):
        SelfTalk.build(settings, replace(facts(settings), **about))


def test_text_is_asked_for_where_it_weighs():
    assert Settings().wants() == Wants(("lips",), "heard")
    assert Settings(alignment="pairs", text_weight=0.0).wants() == Wants(("lips",), "heard", per_frame=2)
    assert Settings(**SILENT, lips="").wants() == Wants()
    assert not [*Settings(**SILENT, lips="").problems()]


def test_clips_without_text_are_refused():
    batch = replace(clips([60], [30]), text=None)
    with pytest.raises(ValueError, match="what a recogniser heard"):
        network(VOCASET).losses(batch)


@both
def test_lips_are_read_where_the_network_is(settings):
    """The meta device refuses to mix with the CPU as a GPU does, and everybody has one."""
    made, batch = network(settings).to("meta"), clips([60], [30]).to("meta")
    assert made.read_lips(batch.vertices[0], batch.template[0]).device.type == "meta"


@both
def test_the_unit_of_motion_changes_no_reading(settings):
    """Released weights loaded into a network that counts in other units read as before."""
    plain = network(settings)
    scaled = SelfTalk.build(replace(settings, motion_scale=0.01), facts(settings)).eval()
    scaled.load_official(plain.state_dict())
    batch = clips([50], [24])
    read = [made.read_lips(batch.vertices[0], batch.template[0]) for made in (plain, scaled)]
    torch.testing.assert_close(read[0], read[1], atol=1e-4, rtol=0)
    losses, others = plain.losses(batch), scaled.losses(batch)
    for name, unit in {"position": 0.01**2, "velocity": 0.01**2, "latent": 1.0, "text": 1.0}.items():
        torch.testing.assert_close(others[name] * unit, losses[name], atol=0, rtol=1e-4)


# -- what the stages ask -----------------------------------------------------------------------------------------------


def test_the_layers_that_repeat_are_worth_compiling():
    marked = [type(module).__name__ for module in network(VOCASET).modules() if getattr(module, "worth_compiling", 0)]
    assert (marked.count("DecoderLayer"), marked.count("EncoderLayer"), marked.count("Layer")) == (3, 2, 2)


def test_a_stream_must_wait_for_the_end_of_the_sound():
    made = network(VOCASET)
    with pytest.raises(DataError, match="every frame of selftalk looks at the whole sound"):
        next(made.stream(iter([]), torch.zeros(3 * VERTICES), torch.ones(len(SUBJECTS))))


def test_hidden_states_are_as_wide_as_the_interpreter():
    assert network(VOCASET).lip_map.out_features == WIDTH
