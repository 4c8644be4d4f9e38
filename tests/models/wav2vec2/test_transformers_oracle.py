"""Our graph against `transformers`, with equal weights: names, outputs, gradients, padded batches, training mode."""

from __future__ import annotations

import pytest
import torch

from models import hub
from tests.models.wav2vec2.pairs import CONFIGS, Whole, pair, same_gradients

every = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


@every
def test_names_and_shapes_are_those_of_transformers(config):
    theirs, ours = (network.state_dict() for network in pair(config))
    assert {name: value.shape for name, value in ours.items()} == {name: value.shape for name, value in theirs.items()}


@every
def test_outputs_and_gradients_are_equal(config):
    theirs, ours = pair(config)
    audio = torch.randn(2, 8000)
    expected, found = theirs(audio).last_hidden_state, ours(audio)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    weights = torch.randn_like(expected)
    same_gradients(ours, theirs, (found * weights).mean(), (expected * weights).mean())


@every
def test_padded_features_with_a_mask_are_equal(config):
    theirs, ours = pair(config)
    features, inside = torch.randn(3, 30, 16), torch.arange(30) < torch.tensor([30, 21, 4])[:, None]
    projected = theirs.feature_projection(features)
    hidden = projected[0] if isinstance(projected, tuple) else projected
    expected = theirs.encoder(hidden, attention_mask=inside).last_hidden_state
    found = ours.encoder(ours.feature_projection(features), inside)
    torch.testing.assert_close(found[inside], expected[inside], rtol=1e-5, atol=1e-5)


@every
@pytest.mark.parametrize("layerdrop", [0.0, 1.0])
def test_training_without_dropout_is_equal(config, layerdrop):
    theirs, ours = (network.train() for network in pair({**config, "layerdrop": layerdrop}))
    audio = torch.randn(1, 6000)
    found = ours(audio)
    torch.testing.assert_close(found, theirs(audio).last_hidden_state, rtol=1e-5, atol=1e-5)
    assert torch.allclose(found, ours.eval()(audio), atol=1e-5) is (layerdrop == 0)


@every
def test_the_same_layers_are_dropped(config):
    theirs, ours = (network.train() for network in pair({**config, "layerdrop": 0.5}))
    audio = torch.randn(1, 6000)
    for seed in range(6):
        torch.manual_seed(seed)
        expected = theirs(audio).last_hidden_state
        torch.manual_seed(seed)
        torch.testing.assert_close(ours(audio), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["feat_proj_dropout", "hidden_dropout", "attention_dropout", "activation_dropout"])
def test_each_dropout_acts_in_training_only(kind):
    _, ours = pair({**CONFIGS["wav2vec2 base"], kind: 0.5})
    audio = torch.randn(1, 6000)
    calm = ours(audio)
    assert torch.equal(ours(audio), calm)
    assert not torch.allclose(ours.train()(audio), calm, atol=1e-3)


def test_the_older_spelling_of_weight_norm_loads():
    theirs, ours = pair(CONFIGS["wav2vec2 base"])
    modern, old = "parametrizations.weight.original", {"0": "weight_g", "1": "weight_v"}
    state = {
        name.replace(modern + name[-1], old[name[-1]]) if modern in name else name: value
        for name, value in theirs.state_dict().items()
    }
    assert "encoder.pos_conv_embed.conv.weight_g" in state
    torch.nn.init.zeros_(ours.encoder.pos_conv_embed.conv.parametrizations.weight.original0)
    ours.load_state_dict(state)
    audio = torch.randn(1, 6000)
    torch.testing.assert_close(ours(audio), theirs(audio).last_hidden_state, rtol=1e-5, atol=1e-5)


def test_a_fresh_network_starts_as_one_of_transformers_does():
    config = {**CONFIGS["wav2vec2 large"], "hidden_size": 64, "intermediate_size": 128}
    torch.manual_seed(0)
    theirs, ours = hub.make_encoder(config).state_dict(), Whole(config).state_dict()
    for name, value in theirs.items():
        if value.numel() > 500 or not value.std() > 0:
            spread = value.std().item()
            assert ours[name].std().item() == pytest.approx(spread, rel=0.15, abs=1e-6), name
            assert ours[name].mean().item() == pytest.approx(value.mean().item(), abs=0.1 * spread + 1e-6), name
