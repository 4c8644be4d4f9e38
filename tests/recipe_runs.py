"""Recipes run in their tiny form, from Python as a user would from a terminal, and raw data for them to run on."""

from __future__ import annotations

import json
import pickle
import string
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import HubertConfig, HubertModel, Wav2Vec2Config, Wav2Vec2ForCTC, Wav2Vec2Model

from stages.kinds.sequences import TRANSCRIPTS
from stages.preprocess.synthetic.raw import Cast, write_raw
from stages.preprocess.vocaset import RAW_FILES
from tests.pipeline.test_cli import pipe
from tests.stages.preprocess.biwi_files import biwi_data
from tests.stages.preprocess.mead_files import write_ready

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))
TALKERS = {
    "Synthetic_01": "FaceTalk_170728_03272_TA",
    "Synthetic_02": "FaceTalk_170811_03275_TA",
    "Synthetic_03": "FaceTalk_170809_00138_TA",
}
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
ONE_THREAD = ("--jobs", "1")
"""Tensors are tiny, and tests run beside each other: threads would only wait for each other (tests/threads.py)."""
LARGE_KIND = {"conv_bias": True, "feat_extract_norm": "layer", "do_stable_layer_norm": True}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for the module, so that equal steps are made once."""
    return tmp_path_factory.mktemp("recipes")


@pytest.fixture
def here(store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(store)
    monkeypatch.setenv("PIPE_STATE", str(store / "state"))
    monkeypatch.setenv("PIPE_STORE", str(store / "store"))
    monkeypatch.setenv("PIPE_OUTPUTS", str(store / "outputs"))
    monkeypatch.setenv("PIPE_AUDIT", "error")  # no stage of ours may read what it does not declare
    return store


def settings(*words: str) -> list[str]:
    return [part for word in words for part in ("--set", word)]


def run_tiny(recipe: str, *words: str, options: Sequence[str] = (), device: str = "cpu") -> int:
    line = ["run", str(ROOT / "recipes" / recipe), "--tiny", "--device", device, *ONE_THREAD, *options]
    return pipe(*line, *settings(*words))


@pytest.fixture(scope="module")
def vocaset(store: Path) -> Path:
    """Three synthetic talkers under VOCASET's names, as its owners hand the files out, with region masks."""
    root = store / "vocaset"
    write_raw(root, Cast(subjects=3, sentences=1, seconds=1.0, seed=3, noise=0.0))
    for file in (RAW_FILES["index"], RAW_FILES["audio"], RAW_FILES["templates"]):
        table = pickle.loads((root / file).read_bytes())
        renamed = {TALKERS[name]: _sentence_21(value) for name, value in table.items()}
        (root / file).write_bytes(pickle.dumps(renamed, protocol=2))
    (root / TRANSCRIPTS).unlink()  # the release has none
    masks = {"lips": np.arange(100, 140), "forehead": np.arange(900, 960)}
    (root / "FLAME_masks.pkl").write_bytes(pickle.dumps(masks, protocol=2))
    return root


@pytest.fixture(scope="module")
def mead(store: Path) -> Path:
    """Two talkers of twelve vertices in TalkingStyle's layout, with its own list of the mouth and region masks."""
    root = write_ready(store / "mead")
    masks = {"lips": np.arange(4), "forehead": np.arange(8, 12)}
    (root / "FLAME_masks.pkl").write_bytes(pickle.dumps(masks, protocol=2))
    return root


def _sentence_21(value: object) -> object:
    return {"sentence21": value["sentence01"]} if isinstance(value, dict) else value


@pytest.fixture(scope="module")
def biwi(store: Path) -> Path:
    """Three subjects of three short sentences in BIWI's own layout, on faces of six vertices."""
    return biwi_data().write(store / "biwi")


@pytest.fixture(scope="module")
def encoder(store: Path) -> Path:
    """A small wav2vec 2.0 of random weights in the format of the hub."""
    torch.manual_seed(0)
    Wav2Vec2Model(Wav2Vec2Config(**SMALL)).save_pretrained(store / "encoder")
    return store / "encoder"


@pytest.fixture(scope="module")
def hubert(store: Path) -> Path:
    """A small HuBERT of the larger kind, with norms as the large checkpoints have them."""
    torch.manual_seed(1)
    HubertModel(HubertConfig(**SMALL, **LARGE_KIND)).save_pretrained(store / "hubert")
    return store / "hubert"


@pytest.fixture(scope="module")
def ctc(store: Path) -> Path:
    """A small CTC recogniser of random weights that writes English letters, with its vocab.json."""
    torch.manual_seed(2)
    classes = ["<pad>", "<s>", "</s>", "<unk>", "|", "'", "-", *string.ascii_lowercase]
    Wav2Vec2ForCTC(Wav2Vec2Config(**SMALL, **LARGE_KIND, vocab_size=len(classes))).save_pretrained(store / "ctc")
    (store / "ctc/vocab.json").write_text(json.dumps({name: i for i, name in enumerate(classes)}))
    return store / "ctc"


@pytest.fixture
def official(here: Path, vocaset: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("VOCASET_ROOT", str(vocaset))
    return [f"step.features.encoder={encoder}"]


OLD_WEIGHT_NORM = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}


def as_released(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Parameters under the names that files of torch 1 have."""
    return {_old_name(name): value for name, value in state.items()}


def _old_name(name: str) -> str:
    for new, old in OLD_WEIGHT_NORM.items():
        name = name.replace(new, old)
    return name
