"""Checkpoints are loaded without drawing or copying weights, and are the networks that were written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from faces.errors import DataError
from models.talking_face import DataFacts, Speech
from stages.kinds.checkpoint import BEST, PRIOR, Checkpoint, Config, write_config, write_weights
from tests.models import tiny, tiny_codetalker

SPEECH = {**tiny.SPEECH, "hidden_size": 32}


@pytest.fixture
def poisoned() -> Iterator[None]:
    """What nobody has written to is not a number: a weight or table that loading leaves out shows."""
    before = torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    yield
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = before


def faceformer(folder: Path, family: str) -> torch.nn.Module:
    about = {"encoder": f"some/{family}", "config": {"model_type": family, **SPEECH}} if family else {}
    network = tiny.network(tiny.VOCASET, **about)
    facts = tiny.facts(tiny.VOCASET, **about)
    return written(folder, network, "faceformer", tiny.VOCASET, facts)


def codetalker(folder: Path) -> torch.nn.Module:
    flavour = tiny_codetalker.VOCASET
    network = tiny_codetalker.network(flavour)
    write_weights(folder / PRIOR, network.autoencoder.state_dict())
    prior = {"model": "codetalker-vq", "settings": asdict(flavour.prior)}
    facts = tiny_codetalker.facts(flavour)
    return written(folder, network, "codetalker", flavour.face, facts, prior=prior)


def written(
    folder: Path, network: torch.nn.Module, model: str, settings: Any, facts: DataFacts, **more: Any
) -> torch.nn.Module:
    write_weights(folder / BEST, network.state_dict())
    write_config(folder, Config(model, asdict(settings), asdict(facts), "tiny", "m", **more))
    return network


def assert_same(loaded: Any, network: Any) -> None:
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    found = {**dict(loaded.named_parameters()), **dict(loaded.named_buffers())}
    assert found.keys() == tensors.keys()
    for name, value in found.items():
        assert value.device.type == "cpu"
        assert torch.equal(value, tensors[name]), name
        assert value.requires_grad == tensors[name].requires_grad, name
    speech = Speech(torch.randn(40, 16), torch.randn(3 * tiny.VERTICES), torch.eye(3))
    torch.testing.assert_close(loaded.predict_all([speech])[0], network.predict_all([speech])[0], rtol=1e-5, atol=1e-5)
    assert not loaded.training


@pytest.mark.parametrize("family", ["", "wav2vec2", "hubert", "wavlm"])
def test_a_loaded_face_is_the_one_that_was_written(poisoned: None, tmp_path: Path, family: str) -> None:
    network = faceformer(tmp_path, family)
    assert_same(Checkpoint(tmp_path).load_network(), network)


def test_so_is_one_upon_a_prior(poisoned: None, tmp_path: Path) -> None:
    network: Any = codetalker(tmp_path)
    loaded: Any = Checkpoint(tmp_path).load_network()
    assert_same(loaded, network)
    names = [name for name, _ in loaded.autoencoder.named_buffers()]
    assert [name for name in names if name.endswith("row")]  # tables that no file holds


def test_weights_are_pages_of_the_file(tmp_path: Path) -> None:
    """Changing the network must not change the file."""
    faceformer(tmp_path, "wav2vec2")
    before = (tmp_path / BEST).read_bytes()
    loaded: Any = Checkpoint(tmp_path).load_network()
    with torch.no_grad():
        for value in loaded.parameters():
            value.mul_(2)
    assert (tmp_path / BEST).read_bytes() == before


def test_a_file_of_another_size_is_still_told(tmp_path: Path) -> None:
    network = faceformer(tmp_path, "wav2vec2")
    state = network.state_dict()
    write_weights(tmp_path / BEST, {**state, "vertice_map.weight": torch.zeros(2, 2)})
    with pytest.raises(DataError, match=r"does not fit the model 'faceformer'.*size mismatch for vertice_map\.weight"):
        Checkpoint(tmp_path).load_network()
    del state["vertice_map.weight"]
    write_weights(tmp_path / BEST, state)
    with pytest.raises(DataError, match=r"Missing key.*vertice_map\.weight"):
        Checkpoint(tmp_path).load_network()
