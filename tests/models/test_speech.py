"""The speech encoder: its names, padding, time masking and pretrained weights."""

from __future__ import annotations

import pytest
import torch

from faces.errors import DataError
from models import hub
from models.speech import FineTuning, SpeechEncoder, time_mask
from models.wav2vec2.long_sound import LONG
from tests.models.tiny import SPEECH


def make(family: str = "wav2vec2", **tuning: float) -> SpeechEncoder:
    torch.manual_seed(0)
    return SpeechEncoder({"model_type": family, **SPEECH}, FineTuning(**tuning)).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("family", hub.FAMILIES)
def test_a_padded_clip_gets_what_it_gets_alone(family):
    encoder, features = make(family), torch.randn(2, 50, 16)
    features[1, 31:] = 0
    with torch.no_grad():
        padded = encoder(features, [50, 31])
        assert torch.allclose(padded[0], encoder(features[:1], [50])[0], atol=1e-5)
        assert torch.allclose(padded[1, :31], encoder(features[1:, :31], [31])[0], atol=1e-5)


@pytest.mark.parametrize("family", hub.FAMILIES)
def test_parts_equal_the_whole_network_of_transformers(tmp_path, family):
    whole = hub.make_encoder({"model_type": family, **SPEECH}).eval()
    whole.save_pretrained(tmp_path)
    encoder, audio = make(family), torch.randn(1, 16000)
    encoder.load_pretrained(str(tmp_path))
    with torch.no_grad():
        features = encoder.convolve(audio)
        expected = whole(audio).last_hidden_state
        assert torch.allclose(encoder(features, [features.shape[1]]), expected, atol=1e-5)


@pytest.mark.parametrize("family", hub.FAMILIES)
@pytest.mark.parametrize("norm", ["group", "layer"])
def test_a_padded_batch_of_sounds_is_convolved_as_single_clips(family, norm):
    torch.manual_seed(0)
    encoder = SpeechEncoder({"model_type": family, **SPEECH, "feat_extract_norm": norm}, FineTuning()).eval()
    audio, samples = torch.randn(3, 9000), [9000, 4321, 7000]
    for clip, count, found in zip(audio, samples, encoder.convolve(audio, samples), strict=True):
        alone = encoder.convolve(clip[None, :count])[0]
        assert torch.allclose(found[: len(alone)], alone, atol=1e-5)


@pytest.mark.parametrize("family", hub.FAMILIES)
def test_more_than_a_minute_is_convolved_in_blocks(family):
    encoder, audio = make(family), torch.randn(1, LONG + 4321)
    seen: list[int] = []
    first = encoder.feature_extractor.conv_layers[0].conv
    first.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[-1]))
    found = encoder.convolve(audio)
    assert max(seen) < LONG / 5
    with torch.no_grad():
        whole = encoder.feature_extractor(audio).transpose(1, 2)
    assert torch.allclose(found, whole, rtol=1e-5, atol=1e-5 * whole.abs().max().item())
    seen.clear()
    encoder.convolve(audio[:, :LONG])
    assert seen == [LONG]


def test_a_configuration_that_is_not_ours_comes_from_transformers():
    """Adapters stand between the layers: nothing may be left out silently."""
    config = {"model_type": "wav2vec2", **SPEECH, "do_stable_layer_norm": True, "adapter_attn_dim": 8}
    names = SpeechEncoder(config, FineTuning()).state_dict().keys()
    assert "encoder.layers.0.adapter_layer.linear_1.weight" in names
    with pytest.raises(DataError, match="cannot take padded sound"):
        other = SpeechEncoder({**config, "feat_extract_activation": "relu"}, FineTuning())
        other.convolve(torch.randn(2, 4000), [4000, 3000])


def test_convolutions_are_frozen_and_the_rest_learns():
    for name, parameter in make().named_parameters():
        assert parameter.requires_grad is not name.startswith("feature_extractor")


def test_weights_of_another_size_are_refused(tmp_path):
    hub.make_encoder({**SPEECH, "hidden_size": 64}).save_pretrained(tmp_path)
    with pytest.raises(DataError, match="does not fit the features: masked_spec_embed is"):
        make().load_pretrained(str(tmp_path))


def test_time_masking_hides_spans_inside_every_clip():
    torch.manual_seed(3)
    tuning, lengths = FineTuning(), [200, 90, 12]
    for _ in range(50):
        masked = time_mask(lengths, 200, tuning)
        for row, length in zip(masked, lengths, strict=True):
            assert not row[length:].any()
            assert min(length, 11) <= row.sum() <= 30
    torch.manual_seed(4)
    first = time_mask(lengths, 200, tuning)
    torch.manual_seed(4)
    assert torch.equal(first, time_mask(lengths, 200, tuning))


def test_number_of_spans_grows_with_the_clip():
    tuning = FineTuning(mask_length=1, mask_prob=0.5)
    counts = [int(time_mask([41], 41, tuning).sum()) for _ in range(200)]
    assert set(counts) == {20, 21}


def test_masked_steps_are_replaced_in_training_only():
    encoder, features = make(dropout=0.0, layerdrop=0.0), torch.randn(1, 60, 16)
    calm = encoder(features, [60])
    assert torch.equal(encoder(features, [60]), calm)
    assert not torch.allclose(encoder.train()(features, [60]), calm)
    assert torch.allclose(make(dropout=0.0, layerdrop=0.0, mask_prob=0.0).train()(features, [60]), calm)
    encoder(features, [60]).sum().backward()
    assert encoder.masked_spec_embed.grad is not None
    assert encoder.masked_spec_embed.grad.any()


def test_layer_drop_skips_layers_in_training_only():
    encoder, features = make(dropout=0.0, layerdrop=0.5, mask_prob=0.0), torch.randn(1, 30, 16)
    outputs = [encoder.train()(features, [30]) for _ in range(30)]
    # Two layers, each there or not: four outputs.
    assert len({output.detach().numpy().tobytes() for output in outputs}) == 4
