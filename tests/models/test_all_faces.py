"""What every face must do beyond its golden cases: batches, styles, training mode, precision, devices, units."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from faces.errors import DataError
from models.positions import periodic_encoding
from models.talking_face import Clips
from tests.models.all_faces import EYE, every_face, every_roll_out, every_speaker, every_training, speech
from tests.models.tiny import SUBJECTS, VERTICES

MIXED = torch.cat((EYE, torch.full((1, len(SUBJECTS)), 1 / len(SUBJECTS))))

# -- motion ------------------------------------------------------------------------------------------------------------


@every_speaker
def test_an_untrained_network_returns_the_template(face):
    said = speech(50)
    [motion] = face.untrained().eval().predict_all([said])
    assert torch.equal(motion, said.template.expand_as(motion))


@every_speaker
def test_clips_and_styles_at_once_equal_each_alone(face):
    made = face.network()
    speeches = [speech(length, MIXED[:count]) for length, count in ((41, 1), (80, 4), (20, 2))]
    for said, motion in zip(speeches, made.predict_all(speeches), strict=True):
        assert motion.shape == (len(said.styles), made.frames_for(len(said.features)), 3 * VERTICES)
        for style, own in zip(said.styles, motion, strict=True):
            alone = made.predict(said.features, said.template, style[None])
            torch.testing.assert_close(alone[0], own, atol=1e-5, rtol=0)


@every_roll_out
def test_styles_differ(face):
    first, second = face.network().predict_all([speech(80)])[0]
    assert not torch.allclose(first, second, atol=1e-2)


@every_roll_out
def test_more_than_600_frames_are_one_consistent_run(face):
    made, length = face.network(), 1300
    frames = made.frames_for(length)
    assert frames >= 650
    with torch.no_grad():
        memory = made.listen(torch.randn(1, length, 16), [length], [frames])
        style = made.style(EYE[:1])
        hidden = made.decode_own(memory, style)
        fed_back = made.inward(made.outward(hidden[:, :-1])) + style[:, None]
        tokens = torch.cat((style[:, None], fed_back), dim=1)
        whole = made.transformer_decoder(tokens + periodic_encoding(frames, 16, made.settings.period), memory)
    torch.testing.assert_close(whole, hidden, atol=1e-5, rtol=1e-5)


# -- losses ------------------------------------------------------------------------------------------------------------


@every_training
def test_a_padded_batch_is_the_mean_of_its_clips(face):
    made, batch = face.network(), face.clips([60, 41, 83], [33, 30, 36])
    losses, singles = made.losses(batch), [made.losses(face.one(batch, i)) for i in range(3)]
    alone = {name: torch.stack([found[name] for found in singles]).mean() for name in losses}
    torch.testing.assert_close(losses, alone, rtol=1e-5, atol=0)
    parameters = [p for p in made.parameters() if p.requires_grad]
    together, apart = (torch.autograd.grad(found["loss"], parameters, allow_unused=True) for found in (losses, alone))
    largest = max(float(grad.abs().max()) for grad in apart if grad is not None)
    for padded, single in zip(together, apart, strict=True):
        assert (padded is None) == (single is None)  # in eval mode nothing is masked
        assert padded is None or torch.allclose(padded, single, rtol=0, atol=1e-5 * largest)


@every_face
def test_training_mode_without_noise_equals_evaluation(face):
    calm = face.calm()
    made, batch = calm.network(), calm.clips([60, 41], [30, 20])
    torch.testing.assert_close(made.losses(batch), made.train().losses(batch), rtol=1e-5, atol=0)


@every_speaker
def test_noise_in_training_follows_the_seed(face):
    made, batch = face.network().train(), face.clips([60, 41], [30, 20])

    def loss(seed: int) -> float:
        torch.manual_seed(seed)
        return float(made.losses(batch)["loss"].detach())

    assert loss(1) == loss(1)
    assert loss(1) != loss(2)


@every_roll_out
def test_validation_reports_both_ways(face):
    made, batch = face.network(), face.clips([60, 41], [30, 20])
    with torch.no_grad():
        found, own = made.validation_losses(batch), made.losses(batch)
        forced = face.changed(teacher_forcing=True).network().losses(batch)["loss"]
    assert found.keys() == {*own, "teacher_forced"}
    torch.testing.assert_close({name: found[name] for name in own}, own)
    torch.testing.assert_close(found["teacher_forced"], forced)
    assert not torch.allclose(found["loss"], forced, rtol=1e-3)


@every_speaker
def test_one_clip_in_several_styles_is_the_mean_of_its_repetitions(face):
    made, batch = face.network(), face.clips([60], [33])
    tensors = {name: value for name, value in vars(batch).items() if value is not None}
    repeated = Clips(**{name: torch.cat([value] * len(EYE)) for name, value in tensors.items()})
    heard = []
    made.audio_encoder.register_forward_pre_hook(lambda module, given: heard.append(len(given[0])))
    with torch.no_grad():
        together = made.validation_losses(replace(batch, style=EYE))
        apart = made.validation_losses(replace(repeated, style=EYE))
    assert heard == [1, len(EYE)]
    torch.testing.assert_close(together, apart, rtol=1e-5, atol=0)


@every_speaker
def test_speech_too_short_for_a_frame_is_refused(face):
    made = face.network()
    with pytest.raises(DataError, match="speech too short"):
        made.losses(face.clips([40, made.per_frame - 1], [20, 9]))
    with pytest.raises(DataError, match="too short for one motion frame"):
        made.predict_all([speech(40), speech(1)])


# -- where, how precisely, in what unit --------------------------------------------------------------------------------


@every_face
def test_half_precision_features_and_autocast(face):
    made, batch = face.network(), face.clips([60, 41], [30, 20])
    said = speech(50)
    exact, motion = made.losses(batch)["loss"], made.predict_all([said])[0]
    halves = {"features": batch.features.half()}
    if batch.text_hidden is not None:
        halves["text_hidden"] = batch.text_hidden.half()
    torch.testing.assert_close(made.losses(replace(batch, **halves))["loss"], exact, rtol=1e-2, atol=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses, spoken = made.losses(batch), made.predict_all([said])[0]
        parts = torch.cat(list(made.predict_blocks(said)), dim=1)
        made.train().losses(batch)["loss"].backward()
    assert {value.dtype for value in losses.values()} == {torch.float32}
    torch.testing.assert_close(losses["loss"], exact, rtol=0.1, atol=0)
    assert all(p.grad is None or p.grad.isfinite().all() for p in made.parameters())
    # Motion may be off by what it is rounded to, and stands on a template that is not rounded.
    assert spoken.dtype == parts.dtype == torch.float32
    assert (spoken - motion).abs().max() < 0.05 * motion.std()


@every_speaker
def test_positions_far_from_the_origin_are_exact_under_autocast(face):
    """An untrained network returns the template, however large its numbers are."""
    made, said = face.untrained().eval(), speech(50)
    far = said.template + 100.123
    with torch.autocast("cpu", dtype=torch.bfloat16):
        [motion] = made.predict_all([replace(said, template=far)])
    assert torch.equal(motion, far.expand_as(motion))


@every_face
def test_every_tensor_follows_the_network_to_its_device(face):
    """The meta device refuses to mix with the CPU as a GPU does, and everybody has one. (Padding needs values, and so
    does text.)"""
    made = face.untrained().train().to("meta")
    batch = face.clips([60, 60], [30, 30])
    moved = replace(batch.to("meta"), feature_lengths=batch.feature_lengths, frames=batch.frames)
    if batch.text is None:
        assert {loss.device.type for loss in made.losses(moved).values()} == {"meta"}
    assert {loss.device.type for loss in made.validation_losses(moved).values()} == {"meta"}
    motion = made.eval().predict(moved.features[0], moved.template[0], moved.style)
    assert motion.shape == (2, made.frames_for(60), 3 * VERTICES)


@every_face
def test_the_unit_of_motion_changes_no_motion(face):
    """Released weights loaded into a network that counts in other units speak as before; the loss has that unit."""
    plain, scaled = face.network(), face.changed(motion_scale=0.01).untrained().eval()
    scaled.load_official(plain.state_dict())
    said, batch = speech(50, EYE), face.clips([50], [24])
    torch.testing.assert_close(plain.predict_all([said])[0], scaled.predict_all([said])[0], atol=1e-5, rtol=1e-5)
    for name, loss in plain.validation_losses(batch).items():
        torch.testing.assert_close(scaled.validation_losses(batch)[name] * 0.01**2, loss, atol=0, rtol=1e-4)


# -- packages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["faceformer", "facetalk", "talkingstyle", "selftalk", "codetalker", "codetalker_vq", "recogniser"]
)
def test_a_package_is_light_to_import(name):
    released = "" if name in ("facetalk", "recogniser") else f", models.{name}.released"
    code = (
        f"import sys, models.{name} as one, models.settings{released}; models.settings.wants_of(one.Settings());"
        "print(sorted({'torch', 'numpy', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
