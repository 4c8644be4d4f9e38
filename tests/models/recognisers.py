"""Folders of tiny pretrained recognisers, as `save_pretrained` of a network and of its tokeniser writes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models import hub
from models.text import ENGLISH

SMALL: dict[str, Any] = {
    "conv_dim": (16,) * 7,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}
LARGE: dict[str, Any] = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
FAMILIES = ("Wav2Vec2", "Hubert", "WavLM")


def write_network(
    folder: Path,
    family: str = "Wav2Vec2",
    *,
    seed: int = 0,
    classes: int = len(ENGLISH),
    kind: str = "ForCTC",
    **more: Any,
) -> Path:
    """A network alone. Its logits are so large that many classes win a frame."""
    hub._without_torchaudio()
    import transformers

    torch.manual_seed(seed)
    config = getattr(transformers, f"{family}Config")(**{**SMALL, **more}, vocab_size=classes, pad_token_id=0)
    network = getattr(transformers, f"{family}{kind}")(config)
    if kind == "ForCTC":
        nn.init.normal_(network.lm_head.weight)
    network.save_pretrained(folder)
    return folder


def write_tokeniser(folder: Path, vocabulary: Sequence[str] = ENGLISH, **more: Any) -> Any:
    """The tokeniser, whose files lie beside the network's."""
    hub._without_torchaudio()
    from transformers import Wav2Vec2CTCTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({name: number for number, name in enumerate(vocabulary)}))
    tokeniser = Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), **more)
    tokeniser.save_pretrained(folder)
    return tokeniser


def write_recogniser(folder: Path, family: str = "Wav2Vec2", **network: Any) -> Path:
    """Both, with the 33 classes of English."""
    write_tokeniser(folder)
    return write_network(folder, family, **network)
