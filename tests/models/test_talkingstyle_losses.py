"""TalkingStyle's loss, and the region that is its mouth."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from models.talking_face import DataFacts
from models.talkingstyle.face import TalkingStyle
from tests.models.tiny import VERTICES, clips
from tests.models.tiny_talkingstyle import BIWI, BOTH, CALM, MOUTH, VOCASET, facts, network, refusal

both = pytest.mark.parametrize("settings", BOTH, ids=["vocaset", "biwi"])


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


def test_biwi_motion_is_cut_to_its_audio_before_the_transformer():
    made, batch = network(BIWI), clips([60, 41], [33, 30])
    cut, heard = replace(batch, frames=torch.tensor([30, 20])), []
    made.audio_encoder.register_forward_pre_hook(lambda module, given: heard.append((given[0].shape[1], given[1])))
    assert torch.equal(made.losses(batch)["loss"], made.losses(cut)["loss"])
    assert heard == [(60, [60, 40])] * 2
    made.losses(replace(batch, frames=torch.tensor([20, 20])))
    assert heard[-1] == (40, [40, 40])


@both
def test_training_learns(settings):
    batch = clips([40, 30], [20, 15])
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
