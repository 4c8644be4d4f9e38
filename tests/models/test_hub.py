"""The door to `transformers`: folders, hub ids that are not here, and a broken torchaudio next to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch

from faces.errors import DataError
from models import hub
from tests.models.tiny import SPEECH


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("family", hub.FAMILIES)
def test_a_saved_encoder_comes_back(tmp_path, family):
    encoder = hub.make_encoder({"model_type": family, **SPEECH})
    encoder.save_pretrained(tmp_path)
    config = hub.load_config(str(tmp_path))
    loaded = hub.load_encoder(str(tmp_path))
    assert (config["model_type"], config["hidden_size"]) == (family, 32)
    assert json.loads(json.dumps(config)) == config
    assert not loaded.training
    for name, value in encoder.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    again = hub.make_encoder(config)
    assert again.state_dict().keys() == encoder.state_dict().keys()


def test_configuration_does_not_depend_on_where_it_lies(tmp_path):
    for name in ("one", "two"):
        hub.make_encoder(SPEECH).save_pretrained(tmp_path / name)
    assert hub.load_config(str(tmp_path / "one")) == hub.load_config(str(tmp_path / "two"))


def test_unknown_hub_id_says_how_to_fetch_it(offline):
    with pytest.raises(DataError, match=r"nobody/no-such-encoder.*hf download nobody/no-such-encoder"):
        hub.load_config("nobody/no-such-encoder")


def test_absent_folder(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        hub.load_encoder(str(tmp_path / "absent"))


def test_folder_without_an_encoder(tmp_path):
    with pytest.raises(DataError, match=r"holds no config\.json"):
        hub.load_config(str(tmp_path))


def test_folder_without_weights(tmp_path):
    hub.make_encoder(SPEECH).config.save_pretrained(tmp_path)
    with pytest.raises(DataError, match="no speech encoder can be read from"):
        hub.load_encoder(str(tmp_path))


def test_another_kind_of_network(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(DataError, match="'bert' network"):
        hub.load_config(str(tmp_path))


def test_a_torchaudio_that_cannot_be_imported_does_no_harm(tmp_path):
    package = tmp_path / "torchaudio"
    package.mkdir()
    (package / "__init__.py").write_text("raise OSError('libc10_cuda.so: cannot open shared object file')")
    details = tmp_path / "torchaudio-9.0.dist-info"
    details.mkdir()
    (details / "METADATA").write_text("Metadata-Version: 2.1\nName: torchaudio\nVersion: 9.0\n")
    code = (
        "from models import hub; print(type(hub.make_encoder({'num_hidden_layers': 1, 'conv_dim': [8] * 7})).__name__)"
    )
    root = Path(__file__).parents[2]
    paths = os.pathsep.join((str(tmp_path), str(root)))
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True
    )
    assert done.stdout.strip() == "Wav2Vec2Model", done.stderr
