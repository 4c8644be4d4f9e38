"""Published checkpoint files: wrappers, spellings, tables, and everything that must be refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from faces.errors import DataError
from models.faceformer.face import FaceFormer
from models.official import published_name, read_official
from models.positions import periodic_encoding
from tests.models.tiny import BIWI, SPEECH, VOCASET, clips, network

WAV2VEC: dict[str, Any] = {"encoder": "some/encoder", "config": SPEECH}


@pytest.fixture(scope="module")
def trained() -> FaceFormer:
    return network(VOCASET, seed=5, **WAV2VEC)


def published(trained: FaceFormer) -> dict[str, Tensor]:
    """The state dict as the released code saves it: old weight norm, with the position table."""
    state = {published_name(name): value for name, value in trained.state_dict().items()}
    return {"PPE.pe": periodic_encoding(630, 16, 30)[None], **state}


def load(state: object, path: Path) -> FaceFormer:
    torch.save(state, path)
    made = network(VOCASET, seed=6, **WAV2VEC)
    made.load_official(read_official(path))
    return made


def wrapped(state: dict[str, Tensor]) -> dict[str, object]:
    return {"epoch": 100, "state_dict": {f"module.{name}": value for name, value in state.items()}}


def modern(state: dict[str, Tensor]) -> dict[str, Tensor]:
    new = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    return {".".join(new.get(part, part) for part in name.split(".")): value for name, value in state.items()}


def without_table(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if name != "PPE.pe"}


@pytest.mark.parametrize("change", [dict, wrapped, modern, without_table])
def test_every_way_of_saving_loads(tmp_path, trained, change):
    state = published(trained)
    assert "audio_encoder.encoder.pos_conv_embed.conv.weight_g" in state
    made, batch = load(change(state), tmp_path / "25_model.pth"), clips([60], [33])
    arguments = (batch.features[0], batch.template[0], batch.style)
    assert torch.equal(made.predict(*arguments), trained.predict(*arguments))


def test_another_size_names_file_and_parameter(tmp_path, trained):
    state = published(trained)
    state["vertice_map.weight"] = torch.zeros(16, 300)
    with pytest.raises(DataError, match=r"model\.pth does not fit.*vertice_map\.weight is \(16, 300\)"):
        load(state, tmp_path / "model.pth")


def test_another_model_names_what_is_missing_and_unknown(tmp_path, trained):
    state = published(trained)
    state["learnable_style_emb.weight"] = state.pop("obj_vector.weight")
    with pytest.raises(DataError, match=r"missing obj_vector\.weight; unknown learnable_style_emb\.weight"):
        load(state, tmp_path / "model.pth")


def test_a_table_of_another_period_is_noticed(tmp_path, trained):
    state = published(trained) | {"PPE.pe": periodic_encoding(625, 16, 25)[None]}
    with pytest.raises(DataError, match="another period than 30"):
        load(state, tmp_path / "model.pth")


def test_log_mel_networks_take_no_published_weights(tmp_path, trained):
    torch.save(published(trained), tmp_path / "model.pth")
    with pytest.raises(DataError, match="does not fit this network"):
        network(VOCASET).load_official(read_official(tmp_path / "model.pth"))


class Malice:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("this ran",))


def test_a_file_that_would_run_code_is_not_loaded(tmp_path, capsys):
    torch.save({"weight": torch.zeros(1), "more": Malice()}, tmp_path / "bad.pth")
    with pytest.raises(DataError, match=r"bad\.pth is no checkpoint of tensors alone"):
        read_official(tmp_path / "bad.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Malice(), protocol=2))
    with pytest.raises(DataError, match=r"plain\.pth"):
        read_official(tmp_path / "plain.pth")
    assert "this ran" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut off"])
def test_a_damaged_file(tmp_path, content):
    (tmp_path / "cut.pth").write_bytes(content)
    with pytest.raises(DataError, match=r"cut\.pth"):
        read_official(tmp_path / "cut.pth")


def test_an_absent_file(tmp_path):
    with pytest.raises(DataError, match=r"absent\.pth does not exist"):
        read_official(tmp_path / "absent.pth")


@pytest.mark.parametrize("content", [torch.zeros(3), {}, {"state_dict": {"epoch": 3}}])
def test_a_file_without_a_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(DataError, match="holds no state dict"):
        read_official(tmp_path / "other.pth")


def test_biwi_weights_do_not_load_into_vocaset_settings(trained):
    biwi = network(BIWI, **WAV2VEC)
    state = {**biwi.state_dict(), "PPE.pe": periodic_encoding(625, 16, 25)[None]}
    with pytest.raises(DataError, match="another period than 30"):
        trained.load_official(state)
