"""All losses of guided training, and their gradients, held against a plain reading of the paper."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from faces.errors import DataError
from faces.mouth.camera import MouthCamera
from faces.mouth.renderer import MouthRenderer
from models.avguidance import Settings
from models.avguidance.face import LOSSES, GuidedFaceFormer
from models.faceformer.face import FaceFormer
from models.lipreader.learning import LearningLipReader
from models.talking_face import Clips
from tests.models.avguidance.heads import (
    EXPERT,
    FPS,
    GUIDED,
    LIPS_ONLY,
    SUBJECTS,
    VERTICES,
    clips,
    expert,
    faces,
    facts,
    guided,
    lips,
    own,
    sight,
    template,
)

BOTH = pytest.mark.parametrize("reader", [EXPERT, LIPS_ONLY], ids=["audio-visual", "video"])


def watching(settings: Settings = GUIDED, reader=EXPERT) -> tuple[GuidedFaceFormer, LearningLipReader]:
    network, judge = guided(settings), expert(reader)
    network.watch(sight(), judge)
    return network, judge


def plainly(network: GuidedFaceFormer, judge: LearningLipReader, batch: Clips) -> dict[str, Tensor]:
    """Written down from the paper: nothing of the network's losses, critic or mouth is used."""
    lesson = network.hear(batch)
    hidden = network.decode_own(lesson.memory, network.style(batch.style))
    scale, layer = network.settings.motion_scale, network.vertice_map_r
    found: dict[str, list[Tensor]] = {name: [] for name in ("position", "lip", "ctc", "attention")}
    for row, frames in enumerate(lesson.frames):
        offsets = hidden[row, :frames] @ layer.weight.T + layer.bias
        truth = (batch.vertices[row, :frames] - batch.template[row]) / scale
        found["position"].append((offsets - truth).square().mean())
        apart = (offsets - truth).unflatten(1, (-1, 3))
        squares = [apart[:, vertex].square() for vertex in lips()]
        found["lip"].append(torch.stack(squares).mean())
        ctc, attention = judged(judge, batch.template[row] + scale * offsets, batch, row)
        found["ctc"].append(ctc)
        found["attention"].append(attention)
    means = {name: torch.stack(values).mean() for name, values in found.items()}
    means["guidance"] = 0.1 * means["ctc"] + 0.9 * means["attention"]
    weights = network.settings.lip_weight, network.settings.guidance_weight
    means["loss"] = means["position"] + weights[0] * means["lip"] + weights[1] * means["guidance"]
    return means


def judged(judge: LearningLipReader, moved: Tensor, batch: Clips, row: int) -> tuple[Tensor, Tensor]:
    pictures = []
    for number in range(round(len(moved) * 25 / FPS)):
        place = number / 25 * FPS
        first = min(int(place), len(moved) - 1)
        share = place - int(place)
        pictures.append(moved[first] * (1 - share) + moved[min(first + 1, len(moved) - 1)] * share)
    camera = replace(MouthCamera.fit(template(), np.unique(lips())), std=0.165)
    draw = MouthRenderer(faces(), camera, backend="torch")
    video = draw(torch.stack(pictures).unflatten(1, (-1, 3)))[None]
    wave = batch.sound[row, : batch.sound_lengths[row]]
    wave = torch.cat([wave, torch.zeros(640 * len(pictures))])[: 640 * len(pictures)]
    wave = (wave - wave.mean()) / (wave.var(correction=0) + 1e-8).sqrt()
    features = judge.encode(video, wave[None] if judge.settings.listens else None)
    text = batch.text[row, : batch.text_lengths[row]].tolist()
    end = judge.settings.end
    chances = F.log_softmax(judge.ctc(features), -1).transpose(0, 1)
    ctc = F.ctc_loss(
        chances, torch.tensor([text]), torch.tensor([len(pictures)]), torch.tensor([len(text)]), reduction="sum"
    )
    said = F.log_softmax(judge.decoder(torch.tensor([[end, *text]]), features, None), -1)[0]
    wanted = torch.full_like(said, 0.1 / end)
    wanted[range(len(text) + 1), [*text, end]] = 0.9
    return ctc, F.kl_div(said, wanted, reduction="sum")


@BOTH
def test_each_loss_and_its_gradient(reader):
    network, judge = watching(reader=reader)
    batch = clips()
    losses, expected = network.losses(batch), plainly(network, judge, batch)
    assert losses.keys() == expected.keys()
    weights = list(own(network).values())
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value, rtol=2e-5, atol=0)
    for name in ("position", "lip", "guidance", "loss"):
        if not losses[name].requires_grad:  # told beside the loss, which alone has a gradient
            continue
        found, wanted = (
            torch.autograd.grad(of[name], weights, retain_graph=True, allow_unused=True) for of in (losses, expected)
        )
        assert [grad is None for grad in found] == [grad is None for grad in wanted]
        one, other = (torch.cat([grad.flatten() for grad in of if grad is not None]) for of in (found, wanted))
        assert other.norm() > 0
        assert (one - other).norm() < 2e-3 * other.norm(), name  # float32, through many layers


@BOTH
def test_gradient_norms_are_those_of_each_loss_by_its_weight(reader):
    network, judge = watching(reader=reader)
    batch = clips((12,))
    expected = plainly(network, judge, batch)
    weights = {"position": 1.0, "lip": 0.5, "guidance": 1e-3}
    norms = network.gradient_norms(batch)
    assert list(norms) == list(LOSSES)
    for name, weight in weights.items():
        grads = torch.autograd.grad(expected[name], list(own(network).values()), retain_graph=True, allow_unused=True)
        norm = torch.stack([grad.square().sum() for grad in grads if grad is not None]).sum().sqrt()
        assert norms[name] == pytest.approx(weight * float(norm), rel=1e-3)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_the_gradient_of_the_guidance_agrees_with_finite_differences():
    network, judge = watching()
    judge.double()
    batch = clips((10,))
    text = batch.text[0, : batch.text_lengths[0]].tolist()
    moved = batch.vertices[0].double().requires_grad_()
    wave = batch.sound[0].double()

    def loss(positions: Tensor) -> Tensor:
        """That of the decoder: CTC's is in float32 whatever comes."""
        return network._critic.losses(positions, wave, text, training=False)["attention"]

    (gradient,) = torch.autograd.grad(loss(moved), moved)
    draw = torch.Generator().manual_seed(1)
    for _ in range(4):
        way = torch.randn(moved.shape, generator=draw, dtype=torch.float64)
        step = 1e-7  # metres: too short for any pixel to see another triangle
        with torch.no_grad():
            slope = (loss(moved + step * way) - loss(moved - step * way)) / (2 * step)
        assert float(slope) == pytest.approx(float((gradient * way).sum()), rel=1e-3)


def test_shading_that_is_detached_leaves_next_to_no_gradient():
    attached, detached = (
        watching(replace(GUIDED, shading_gradient=kind))[0].gradient_norms(clips((12,)))
        for kind in ("attached", "detached")
    )
    assert detached["guidance"] < 2e-2 * attached["guidance"]
    assert detached["position"] == attached["position"]
    losses = [watching(replace(GUIDED, shading_gradient=kind))[0].losses(clips()) for kind in ("attached", "detached")]
    torch.testing.assert_close(*losses, rtol=0, atol=0)  # nothing shows it but the gradient


def test_without_weight_nobody_is_asked():
    network = guided(replace(GUIDED, guidance_weight=0.0))
    network.watch(sight())
    losses = network.losses(replace(clips(), text=None, text_lengths=None))
    assert set(losses) == {"loss", "position", "lip"}
    torch.testing.assert_close(losses["loss"], losses["position"] + 0.5 * losses["lip"])
    assert set(network.gradient_norms(clips())) == {"position", "lip"}
    assert not any(name.startswith("expert") for name in network.state_dict())
    assert network.mouths(clips((12,))).shape == (10, 88, 176)


def test_one_clip_in_several_styles_is_the_mean_over_them():
    network, _ = watching()
    batch = clips((11,))
    with torch.no_grad():
        together = network.validation_losses(replace(batch, style=torch.eye(3)))
        alone = [network.validation_losses(replace(batch, style=style[None])) for style in torch.eye(3)]
    for name, value in together.items():
        torch.testing.assert_close(value, torch.stack([one[name] for one in alone]).mean(), rtol=1e-5, atol=0)


@pytest.mark.parametrize(("timing", "pictures"), [("resampled", 10), ("released", 12)])
def test_timing(timing, pictures):
    """As released, 12 frames of 30 a second are 12 pictures of 25 a second, and the sound is followed by silence."""
    network, judge = watching(replace(GUIDED, timing=timing))
    given = []
    encode = judge.encode
    judge.encode = lambda video, audio: given.append((video, audio)) or encode(video, audio)
    heard = []
    hear = judge.hear
    judge.hear = lambda sound, *_: heard.append(sound) or hear(sound)
    network.losses(clips((12,)))
    ((video, _),), (sound,) = given, heard
    assert video.shape[1] == pictures
    assert sound.shape == (1, 640 * pictures)
    silent = int((sound[0].flip(0) == sound[0, -1]).long().cumprod(0).sum())
    assert (silent > 600) == (timing == "released")  # 12 · 640 samples of 12 / 30 s
    assert network.mouths(clips((12,))).shape[0] == pictures


def test_time_is_hidden_in_training_alone_and_drawn_from_the_one_stream():
    network, judge = watching(replace(GUIDED, time_mask=True))
    heard = []
    hear = judge.hear
    judge.hear = lambda sound, *_: heard.append(sound.clone()) or hear(sound)
    batch = clips((30,))
    network.losses(batch)
    network.train()
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        network.losses(batch)
    whole, first, again, other = heard
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, whole)


def test_positions_that_are_no_numbers_are_a_loss_that_is_none():
    network, _ = watching()
    with torch.no_grad():
        network.vertice_map_r.bias[3] = torch.inf
    assert not network.losses(clips())["loss"].isfinite()


def test_bf16_keeps_what_is_heard_in_full_precision():
    batch = clips((12,))
    exact = watching()[0].losses(batch)
    network, _ = watching()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = network.losses(batch)
    assert {value.dtype for value in rough.values()} == {torch.float32}
    for name, value in exact.items():
        torch.testing.assert_close(rough[name], value, rtol=0.1, atol=0.0)
    assert rough["ctc"] != rough["ctc"].bfloat16()
    assert rough["attention"] != rough["attention"].bfloat16()
    norms = network.gradient_norms(batch)  # outside of autocast, with what was heard inside
    assert all(norm > 0 for norm in norms.values())


# -- the expert --------------------------------------------------------------------------------------------------------


def test_a_frozen_expert_is_no_part_of_the_face():
    network, judge = watching()
    before = {name: value.clone() for name, value in judge.state_dict().items()}
    network.train()
    network.losses(clips())["loss"].backward()
    assert not judge.training
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in judge.parameters())
    assert not any("expert" in name for name in network.state_dict())
    assert all(torch.equal(value, before[name]) for name, value in judge.state_dict().items())
    assert all(parameter.grad is not None for parameter in (network.vertice_map_r.weight, network.vertice_map.weight))


def test_a_frozen_expert_hears_each_clip_once():
    network, judge = watching()
    calls = []
    hear = judge.hear
    judge.hear = lambda sound, *_: calls.append(1) or hear(sound)
    batch = clips()
    first = network.losses(batch)
    for _ in range(3):
        torch.testing.assert_close(network.train().eval().losses(batch), first, rtol=0, atol=0)
    assert len(calls) == 2
    network, judge = watching(replace(GUIDED, expert="finetune"))
    hear, calls = judge.hear, []
    judge.hear = lambda sound, *_: calls.append(1) or hear(sound)
    network.losses(batch)
    network.losses(batch)
    assert len(calls) == 4


def test_an_expert_that_learns_is_stored_beside_and_has_gradients():
    network, judge = watching(replace(GUIDED, expert="finetune"))
    network.train()
    assert judge.training
    network.losses(clips())["loss"].backward()
    named = dict(network.named_parameters())
    assert all(named[f"expert.{name}"] is parameter for name, parameter in judge.named_parameters())
    assert named["expert.ctc.ctc_lo.weight"].grad.abs().max() > 0
    assert named["expert.encoder.frontend.frontend3D.0.weight"].grad.abs().max() > 0


@pytest.mark.parametrize("step", [0, 3, 5])
def test_frames_that_are_computed_twice_change_no_gradient(step):
    whole, parts = (watching(replace(GUIDED, checkpoint_frames=count))[0] for count in (0, step))
    batch = clips((12,))
    grads = [
        torch.autograd.grad(network.losses(batch)["guidance"], list(own(network).values()), allow_unused=True)
        for network in (whole, parts)
    ]
    largest = max(float(grad.abs().max()) for grad in grads[0] if grad is not None)
    for one, other in zip(*grads, strict=True):
        assert one is None or torch.allclose(one, other, rtol=0, atol=1e-5 * largest)


# -- what it is else ---------------------------------------------------------------------------------------------------


def test_its_weights_are_faceformers():
    network = guided()
    plain = FaceFormer.build(GUIDED, facts())
    assert {name: value.shape for name, value in network.state_dict().items()} == {
        name: value.shape for name, value in plain.state_dict().items()
    }
    plain.load_state_dict(network.state_dict())
    batch = clips((12,))
    spoken = [
        made.eval().predict(batch.features[0], batch.template[0], torch.eye(len(SUBJECTS))) for made in (network, plain)
    ]
    assert torch.equal(*spoken)


def test_a_published_animator_loads(tmp_path):
    theirs, ours = guided(replace(GUIDED, motion_scale=1.0), seed=5), guided()
    ours.load_official(dict(theirs.state_dict()))
    batch = clips((12,))
    spoken = [made.predict(batch.features[0], batch.template[0], torch.eye(3)[:1]) for made in (theirs, ours)]
    torch.testing.assert_close(*spoken, rtol=0, atol=1e-5)


def test_without_lips_position_alone_counts():
    """A released file tells of no lips, and speaks all the same."""
    network = GuidedFaceFormer.build(GUIDED, facts(regions={}))
    assert set(network.scoring()(torch.zeros(2, 16), torch.zeros(2, 3 * VERTICES))) == {"loss"}


def test_lips_of_another_mesh_are_refused():
    with pytest.raises(DataError, match=f"region 'lips' names vertex {VERTICES} of {VERTICES}"):
        GuidedFaceFormer.build(GUIDED, facts(regions={"lips": [1, VERTICES]}))


def test_settings_that_do_not_go_together():
    assert "teacher_forcing = true" in next(iter(replace(GUIDED, teacher_forcing=True).problems()))
    assert not list(Settings().problems())
