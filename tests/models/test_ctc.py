"""A frozen recogniser of ours against `transformers`, and what of its checkpoints is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from faces.errors import DataError
from models import hub
from models.ctc import CtcRecogniser
from models.text import ENGLISH
from tests.models.recognisers import FAMILIES, LARGE, write_network, write_recogniser, write_tokeniser


def ours(folder: Path) -> CtcRecogniser:
    return CtcRecogniser.of(hub.load_recogniser(str(folder)), hub.load_config(str(folder)), str(folder))


def theirs(folder: Path) -> Any:
    from transformers import AutoModelForCTC

    return AutoModelForCTC.from_pretrained(folder).eval()


@pytest.mark.parametrize("size", [{}, LARGE], ids=["base", "large"])
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_hidden_states_and_logits_are_those_of_transformers(tmp_path, family, size):
    folder = write_recogniser(tmp_path, family, **size)
    audio = torch.randn(1, 9000, generator=torch.Generator().manual_seed(1))
    network = ours(folder)
    hidden, logits = network.recognise(network.convolve(audio[0]))
    expected = theirs(folder)(audio, output_hidden_states=True)
    assert logits.shape == (27, 33)
    torch.testing.assert_close(logits, expected.logits[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(hidden, theirs(folder).base_model(audio).last_hidden_state[0], atol=1e-5, rtol=1e-5)


def test_it_is_frozen_wherever_it_is(tmp_path):
    network = ours(write_recogniser(tmp_path))
    within = torch.nn.ModuleList([network]).train()
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in within.parameters())
    features = network.convolve(torch.randn(8000))
    for one, other in zip(network.recognise(features), network.recognise(features), strict=True):
        assert torch.equal(one, other)


def test_names_are_those_of_published_files(tmp_path):
    names = ours(write_recogniser(tmp_path)).state_dict().keys()
    assert {"lm_head.weight", "wav2vec2.masked_spec_embed", "wav2vec2.encoder.layers.0.attention.q_proj.weight"} < names


def test_an_adapter_within_the_layers_goes_through_transformers(tmp_path):
    folder = write_recogniser(tmp_path, **LARGE, adapter_attn_dim=4)
    audio = torch.randn(1, 8000)
    network = ours(folder)
    with torch.no_grad():
        torch.testing.assert_close(network.recognise(network.convolve(audio[0]))[1], theirs(folder)(audio).logits[0])


def test_special_marks_have_our_names(tmp_path):
    """Many checkpoints were fine-tuned with marks of their own, and with the tokeniser's behind the letters."""
    tokeniser = write_tokeniser(
        tmp_path, ["a", "b", "_", "[UNK]", "[PAD]"], pad_token="[PAD]", unk_token="[UNK]", word_delimiter_token="_"
    )
    assert len(tokeniser) == 7
    write_network(tmp_path, classes=7)
    assert hub.load_recogniser(str(tmp_path)).vocabulary == ("a", "b", "|", "<unk>", "<pad>", "<s>", "</s>")
    write_network(tmp_path, classes=5)
    assert hub.load_recogniser(str(tmp_path)).vocabulary == ("a", "b", "|", "<unk>", "<pad>")


def test_a_plain_list_of_classes_is_enough(tmp_path):
    """Older checkpoints have no more than vocab.json."""
    write_recogniser(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    assert hub.load_recogniser(str(tmp_path)).vocabulary == ENGLISH


def refused(folder: Path, words: str) -> None:
    with pytest.raises(DataError, match=words):
        hub.load_recogniser(str(folder))


def test_without_a_head(tmp_path):
    write_tokeniser(tmp_path)
    write_network(tmp_path, kind="Model")
    refused(tmp_path, r"recognises nothing \(it has no lm_head\.bias\): give one that was fine-tuned with CTC")


def test_without_a_vocabulary(tmp_path):
    refused(write_network(tmp_path), r"holds no vocab\.json; a recogniser is a folder")


@pytest.mark.parametrize("count", [32, 40])
def test_with_the_vocabulary_of_another(tmp_path, count):
    write_tokeniser(tmp_path)
    write_network(tmp_path, classes=count)
    refused(tmp_path, f"has 33 classes, its network {count}: they are of two checkpoints")


def test_with_a_hole_among_the_classes(tmp_path):
    write_recogniser(tmp_path)
    classes = {name: number + (number > 20) for number, name in enumerate(ENGLISH)}
    (tmp_path / "vocab.json").write_text(json.dumps(classes))
    refused(tmp_path, "they are of two checkpoints")


def test_without_a_blank_or_with_two(tmp_path):
    write_tokeniser(tmp_path / "none", ["a", "b"])
    refused(write_network(tmp_path / "none", classes=2), r"has no blank \(<pad>\)")
    write_tokeniser(tmp_path / "two", ["<pad>", "[PAD]", "a"], pad_token="[PAD]")
    refused(write_network(tmp_path / "two", classes=3), "several classes that mean <pad>")


def test_of_several_languages(tmp_path):
    write_recogniser(tmp_path)
    (tmp_path / "vocab.json").write_text(json.dumps({"eng": dict.fromkeys(ENGLISH, 1)}))
    (tmp_path / "tokenizer_config.json").unlink()
    refused(tmp_path, "no vocabulary of one language")


@pytest.mark.parametrize("text", ["[1, 2]", "{", "null", '{"a": "b"}'])
def test_with_a_damaged_vocabulary(tmp_path, text):
    write_recogniser(tmp_path)
    (tmp_path / "vocab.json").write_text(text)
    refused(tmp_path, rf"(recogniser can be read from|vocab\.json of|the vocabulary of) {re.escape(str(tmp_path))}")


def test_with_an_adapter_behind_the_layers(tmp_path):
    refused(write_recogniser(tmp_path, add_adapter=True), "an adapter that shortens what it hears")
