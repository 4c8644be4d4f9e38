from __future__ import annotations

import pytest

from faces.errors import DataError
from models.wav2vec2.config import Config, can_build, can_convolve


def test_absent_fields_are_those_of_the_base_model():
    from transformers import Wav2Vec2Config

    theirs = Wav2Vec2Config().to_dict()
    ours = vars(Config())
    assert {name: value for name, value in ours.items() if name in theirs} == {
        name: tuple(theirs[name]) if isinstance(theirs[name], list | tuple) else theirs[name]
        for name in ours
        if name in theirs
    }
    assert ours.keys() - theirs.keys() == {"feat_proj_layer_norm"}


@pytest.mark.parametrize(
    ("values", "built", "convolved"),
    [
        ({}, True, True),
        ({"model_type": "hubert"}, True, True),
        ({"adapter_attn_dim": None}, True, True),
        ({"model_type": "wavlm"}, False, True),
        ({"adapter_attn_dim": 16}, False, True),
        ({"model_type": "hubert", "conv_pos_batch_norm": True}, False, True),
        ({"hidden_act": "relu"}, False, True),
        ({"feat_extract_activation": "relu"}, False, False),
        ({"feat_extract_norm": "batch"}, False, False),
        ({"model_type": "bert"}, False, False),
    ],
)
def test_only_what_is_known_is_built_here(values, built, convolved):
    assert (can_build(values), can_convolve(values)) == (built, convolved)


def test_contradictions_are_told():
    with pytest.raises(DataError, match="hidden_size = 30 is no multiple of num_attention_heads = 4"):
        Config.of({"hidden_size": 30, "num_attention_heads": 4, "num_conv_pos_embedding_groups": 2})
    with pytest.raises(DataError, match="differ in length"):
        Config.of({"conv_dim": [8, 8]})


def test_only_hubert_may_leave_out_the_norm():
    assert Config.of({"model_type": "wav2vec2", "feat_proj_layer_norm": False}).feat_proj_layer_norm
    assert not Config.of({"model_type": "hubert", "feat_proj_layer_norm": False}).feat_proj_layer_norm
