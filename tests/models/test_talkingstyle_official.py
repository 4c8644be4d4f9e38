"""TalkingStyle's released files: names, sizes, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from faces.errors import DataError
from models.official import published_name, read_official
from models.positions import periodic_encoding
from models.talking_face import DataFacts
from models.talkingstyle.face import TalkingStyle
from models.talkingstyle.settings import Settings
from stages.bench.sizes import ENCODERS
from tests.models import tiny
from tests.models.tiny import SPEECH, clips
from tests.models.tiny_talkingstyle import VOCASET, network

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
