"""Published files of CodeTalker's second stage: written as the released code writes them, and what must be refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from faces.errors import DataError
from models.codetalker.face import CodeTalker
from models.official import published_name, read_official
from models.positions import periodic_encoding
from tests.models.test_codetalker import speech
from tests.models.tiny import SPEECH, VERTICES
from tests.models.tiny_codetalker import BIWI, BOTH, VOCASET, Flavour, network

WAV2VEC: dict[str, Any] = {"encoder": "some/encoder", "config": SPEECH}
both = pytest.mark.parametrize("flavour", BOTH, ids=["vocaset", "biwi"])


def published(made: CodeTalker) -> dict[str, Tensor]:
    """Old weight norm, the table of positions, and nothing of the autoencoder."""
    period = made.settings.period
    table = periodic_encoding((600 // period + 1) * period, made.settings.feature_dim, period)
    state = {published_name(name): value for name, value in made.state_dict().items()}
    assert "audio_encoder.encoder.pos_conv_embed.conv.weight_g" in state
    return {"PPE.pe": table[None], **state}


def load(state: dict[str, Tensor], file: Path, flavour: Flavour = VOCASET) -> CodeTalker:
    torch.save({"state_dict": state}, file)
    made = network(flavour, seed=0, **WAV2VEC)
    torch.nn.init.zeros_(made.vertice_map.weight)
    made.load_official(read_official(file))
    return made


def refusal(state: dict[str, Tensor], file: Path, flavour: Flavour = VOCASET) -> str:
    with pytest.raises(DataError) as caught:
        load(state, file, flavour)
    return str(caught.value)


@both
@pytest.mark.parametrize("table", [True, False])
def test_a_published_file_speaks_as_its_network(tmp_path, flavour, table):
    made = network(flavour, seed=0, **WAV2VEC)
    state = published(made)
    if not table:
        del state["PPE.pe"]
    loaded = load(state, tmp_path / "model.pth.tar", flavour)
    assert torch.equal(loaded.predict_all([speech(41)])[0], made.predict_all([speech(41)])[0])


def test_the_file_of_the_first_stage(tmp_path):
    state = dict(network(VOCASET).autoencoder.state_dict())
    said = refusal(state, tmp_path / "stage1.pth.tar")
    assert "stage1.pth.tar is CodeTalker's first stage, a motion prior: give it to 'codetalker-vq'" in said


def test_the_file_of_another_data_set(tmp_path):
    said = refusal(published(network(BIWI, **WAV2VEC)), tmp_path / "biwi_stage2.pth.tar")
    assert "biwi_stage2.pth.tar was made with another period than 30 (its PPE.pe differs)" in said
    said = refusal(published(network(VOCASET, **WAV2VEC)), tmp_path / "vocaset.pth.tar", BIWI)
    assert "another period than 25" in said


def test_another_number_of_training_subjects(tmp_path):
    state = published(network(VOCASET, **WAV2VEC))
    state["learnable_style_emb.weight"] = torch.zeros(8, 16)
    said = refusal(state, tmp_path / "model.pth.tar")
    assert "model.pth.tar does not fit" in said
    assert "learnable_style_emb.weight is (8, 16) instead of (3, 16)" in said


def test_a_prior_whose_codes_are_wider(tmp_path):
    state = published(network(VOCASET, **WAV2VEC))
    state["feat_map.weight"] = torch.zeros(30, 16)
    assert "feat_map.weight is (30, 16) instead of (24, 16)" in refusal(state, tmp_path / "model.pth.tar")


def test_another_model(tmp_path):
    state = published(network(VOCASET, **WAV2VEC))
    state["obj_vector.weight"] = state.pop("learnable_style_emb.weight").T
    state["vertice_map_r.weight"] = torch.zeros(3 * VERTICES, 16)
    said = refusal(state, tmp_path / "faceformer.pth")
    assert "missing learnable_style_emb.weight; unknown obj_vector.weight, vertice_map_r.weight" in said
