"""The recogniser: its loss, its reading, batches, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from faces.errors import DataError
from models.recogniser import Settings, network
from models.settings import moves, wants_of
from models.talking_face import Clips, DataFacts
from models.text import Vocabulary
from tests.models.tiny import SPEECH

CLASSES = ("<pad>", "<unk>", "|", "a", "b", "c")
SMALL = Settings(width=32, layers=1, heads=2)
CHANNELS = 8


def facts(encoder="log-mel", config=None, channels=CHANNELS):
    return DataFacts(11, 30.0, ("anna",), channels, encoder, config or {}, vocabulary=CLASSES)


def made(settings=SMALL, seed=0):
    torch.manual_seed(seed)
    return network().build(settings, facts()).eval()


def clips(lengths, texts):
    """A padded batch; a clip's numbers do not depend on the others in it."""
    features, letters = torch.zeros(len(lengths), max(lengths), CHANNELS), Vocabulary(CLASSES)
    for row, length in zip(features, lengths, strict=True):
        row[:length] = torch.randn(length, CHANNELS, generator=torch.Generator().manual_seed(length))
    classes = [letters.classes_of(text) for text in texts]
    text = torch.zeros(len(texts), max(map(len, classes)), dtype=torch.int64)
    for row, own in zip(text, classes, strict=True):
        row[: len(own)] = torch.tensor(own)
    return Clips(
        features, torch.tensor(lengths), torch.zeros(len(texts), 0), torch.ones(len(texts), 1),
        text=text, text_lengths=torch.tensor([len(own) for own in classes]),
    )  # fmt: skip


def alone(batch, i):
    length, letters = int(batch.feature_lengths[i]), int(batch.text_lengths[i])
    one = {name: value[i : i + 1] for name, value in vars(batch).items() if value is not None}
    return Clips(**one | {"features": one["features"][:, :length], "text": one["text"][:, :letters]})


def literal_loss(logits, text):
    """-log of the probability of all ways to write `text` step by step, for each letter."""
    steps, letters = logits.log_softmax(-1).double(), Vocabulary(CLASSES)
    total = -torch.inf
    for way in product(range(len(CLASSES)), repeat=len(steps)):
        kept = [c for i, c in enumerate(way) if c != letters.blank and (i == 0 or c != way[i - 1])]
        if kept == letters.classes_of(text):
            total = np.logaddexp(total, sum(steps[i, c].item() for i, c in enumerate(way)))
    return -total / max(len(text), 1)


def test_it_moves_nothing_and_learns_from_what_is_written():
    assert not moves(SMALL)
    assert not moves(Settings)
    assert wants_of(SMALL).text == "written"
    assert not hasattr(network(), "predict_all")


@pytest.mark.parametrize("text", ["ab", "aa", "a b", "b", ""])
def test_the_loss_sums_over_all_ways_to_write_a_text(text):
    net, batch = made(), clips([6], [text])
    _, logits = net.recognise(batch.features[0])
    assert net.losses(batch)["loss"].item() == pytest.approx(literal_loss(logits, text), rel=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_a_padded_batch_is_the_mean_of_its_clips_alone(training):
    calm = replace(SMALL, dropout=0.0)
    net, batch = made(calm).train(training), clips([30, 41, 12], ["ab", "a cab", ""])
    apart = torch.stack([net.losses(alone(batch, i))["loss"] for i in range(3)])
    together = net.losses(batch)["loss"]
    torch.testing.assert_close(together, apart.mean())
    gradients = [
        torch.autograd.grad(loss, list(net.parameters()), allow_unused=True) for loss in (together, apart.mean())
    ]
    for one, other in zip(*gradients, strict=True):
        if one is not None:
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_steps_are_those_of_the_features():
    net, batch = made(), clips([30, 41], ["ab", "c"])
    hidden, logits = net(batch.features, [30, 41])
    for i, length in enumerate((30, 41)):
        own = net.recognise(batch.features[i, :length])
        assert own[0].shape == (length, 32)
        assert own[1].shape == (length, len(net.vocabulary)) == (length, 6)
        torch.testing.assert_close(own, (hidden[i, :length], logits[i, :length]), atol=1e-5, rtol=1e-5)
        assert not own[1].requires_grad


def test_a_text_too_long_for_its_sound_costs_nothing():
    net = made()
    loss = net.losses(clips([3, 20], ["abcabc", "ab"]))["loss"]
    torch.testing.assert_close(loss, net.losses(clips([20], ["ab"]))["loss"] / 2)
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


def test_letter_errors_are_those_of_the_best_classes():
    net, batch = made(), clips([30, 12], ["ab", "cab"])
    letters = Vocabulary(CLASSES)
    net.lm_head.weight.data.zero_()
    net.lm_head.bias.data = torch.nn.functional.one_hot(torch.tensor(letters.classes_of("a")[0]), 6).float()
    found = net.validation_losses(batch)
    assert set(found) == {"loss", "letter_errors"}
    assert found["letter_errors"].item() == pytest.approx((1 / 2 + 2 / 3) / 2)  # it reads "a" everywhere
    torch.testing.assert_close(found["loss"], net.losses(batch)["loss"])


def test_it_learns_to_read():
    net, batch = made(replace(SMALL, dropout=0.0)).train(), clips([24, 31, 18], ["ab", "ca b", "c"])
    descent = torch.optim.Adam(net.parameters(), lr=5e-3)
    for _ in range(250):
        descent.zero_grad()
        net.losses(batch)["loss"].backward()
        descent.step()
    letters = Vocabulary(net.vocabulary)
    read = [letters.read(net.eval().recognise(alone(batch, i).features[0])[1].numpy()) for i in range(3)]
    assert read == ["ab", "ca b", "c"]


def test_upon_the_features_of_a_pretrained_encoder():
    torch.manual_seed(0)
    net = network().build(SMALL, facts("some/encoder", SPEECH, 16)).eval()
    hidden, logits = net.recognise(torch.randn(20, 16))
    assert (hidden.shape, logits.shape) == ((20, 32), (20, 6))
    assert any(name.startswith("audio_encoder.feature_extractor.") for name in net.state_dict())
    with pytest.raises(DataError, match="features have 5 channels"):
        network().build(SMALL, facts("some/encoder", SPEECH, 5))


def test_its_convolution_of_positions_spans_what_is_asked():
    """Alone it looks beside a step: with one layer's attention taken away, far features change nothing."""
    net = made(replace(SMALL, context=4))
    for layer in net.audio_encoder.encoder.layers:
        layer.attention.out_proj.weight.data.zero_()
    features = torch.randn(30, CHANNELS)
    changed = features.clone()
    changed[20] += 1
    moved = (net.recognise(features)[1] - net.recognise(changed)[1]).abs().amax(1) > 0
    assert set(moved.nonzero()[:, 0].tolist()) == set(range(19, 23))


def test_what_it_refuses():
    with pytest.raises(DataError, match="no weights of a recogniser were ever released"):
        made().load_official({})
    with pytest.raises(DataError, match="needs <pad>, the blank"):
        network().build(SMALL, replace(facts(), vocabulary=()))
    with pytest.raises(DataError, match=r"width = 40 must be a multiple of 16 and of heads = 4"):
        network().build(Settings(width=40), facts())
    batch = clips([20], ["ab"])
    with pytest.raises(ValueError, match="need clips with text"):
        made().losses(replace(batch, text=None))
    with pytest.raises(DataError, match="too short for one speech feature"):
        made().losses(replace(batch, feature_lengths=torch.tensor([0])))
