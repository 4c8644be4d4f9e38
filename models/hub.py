"""The only door to `transformers`: configurations and weights of wav2vec 2.0, HuBERT and WavLM speech encoders, and of
the recognisers that were fine-tuned from them with CTC.

A source is a folder that `save_pretrained` wrote, or a hub id, which is looked for on this machine first and then
downloaded. Whatever goes wrong ends in a DataError that says how to get the checkpoint. Importing this module is
light; its functions import `transformers`, which takes seconds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from faces.errors import DataError, said
from models.text import BLANK, SPACE, UNKNOWN

if TYPE_CHECKING:
    from torch import nn

FAMILIES = ("wav2vec2", "hubert", "wavlm")
# What `transformers` notes about a file rather than about the network; it would make equal configurations differ.
_NOT_CONTENT = ("_name_or_path", "transformers_version", "dtype", "torch_dtype", "architectures")


class Recogniser(NamedTuple):
    """A pretrained recogniser. encoder: as `load_encoder` gives it. head: its last hidden state → logits of the classes
    of `vocabulary`. missing: parameters of the encoder that the checkpoint lacks."""

    encoder: nn.Module
    head: nn.Linear
    vocabulary: tuple[str, ...]
    missing: frozenset[str]


def load_config(source: str) -> dict[str, Any]:
    """The configuration of a speech encoder as plain JSON values, with `model_type` among them.

    source: a folder or a hub id ("facebook/wav2vec2-base-960h"). DataError where there is no such speech encoder.
    """
    from transformers import AutoConfig

    return _plain(_fetch(AutoConfig, source))


def load_encoder(source: str) -> nn.Module:
    """The pretrained speech encoder (`Wav2Vec2Model`, `HubertModel`, `WavLMModel`), float32, in eval mode.

    source: a folder or a hub id. DataError where there is no such speech encoder.
    """
    return load_encoder_and_missing(source)[0]


def load_encoder_and_missing(source: str) -> tuple[nn.Module, frozenset[str]]:
    """The same, and the names of parameters that the checkpoint lacks, which are drawn anew at each loading."""
    _without_torchaudio()
    from torch import float32
    from transformers import AutoModel

    load_config(source)
    encoder, facts = _fetch(AutoModel, source, dtype=float32, output_loading_info=True)
    return encoder.eval(), frozenset(facts["missing_keys"])


def load_recogniser(source: str) -> Recogniser:
    """A speech encoder with the head that CTC was trained with (`Wav2Vec2ForCTC` and its kin), float32, in eval mode.

    source: a folder or a hub id. DataError where it is no recogniser, or has no vocabulary of as many classes.
    """
    _without_torchaudio()
    from torch import float32
    from transformers import AutoModelForCTC

    config = load_config(source)
    if config.get("add_adapter"):
        raise DataError(f"{source} has an adapter that shortens what it hears: take a recogniser of 50 steps a second")
    found, facts = _fetch(AutoModelForCTC, source, dtype=float32, output_loading_info=True)
    missing = frozenset(facts["missing_keys"])
    if absent := sorted(name for name in missing if name.startswith("lm_head.")):
        raise DataError(
            f"{source} is a speech encoder that recognises nothing (it has no {absent[0]}): give one that was "
            "fine-tuned with CTC"
        )
    vocabulary = _vocabulary(source, found.lm_head.out_features)
    own = f"{found.base_model_prefix}."
    return Recogniser(
        found.base_model.eval(), found.lm_head.eval(), vocabulary, frozenset(name.removeprefix(own) for name in missing)
    )


def _vocabulary(source: str, count: int) -> tuple[str, ...]:
    """What the classes stand for, by number, with blank, unknown and space under their names in `models.text`."""
    from transformers import Wav2Vec2CTCTokenizer

    try:
        tokeniser = _found(Wav2Vec2CTCTokenizer, source, what="recogniser", file="vocab.json")
    except (AttributeError, TypeError) as error:  # what a tokeniser makes of a list, and of a table in a table
        raise DataError(
            f"vocab.json of {source} is no vocabulary of one language ({said(error)}): give another recogniser"
        ) from error
    numbers: Mapping[str, int] = tokeniser.encoder
    # Beside those of the file, a tokeniser gives numbers to marks of its own, behind the last class.
    names = {number: name for name, number in {**tokeniser.added_tokens_encoder, **numbers}.items()}
    if len(numbers) > count or any(number not in names for number in range(count)):
        raise DataError(
            f"the vocabulary of {source} has {len(numbers)} classes, its network {count}: they are of two checkpoints"
        )
    # A tokeniser that was read has the default as `word_delimiter_token` in `transformers` 5, whatever its file says.
    delimiter = tokeniser.special_tokens_map.get("word_delimiter_token", tokeniser.word_delimiter_token)
    ours = {tokeniser.pad_token: BLANK, tokeniser.unk_token: UNKNOWN, str(delimiter): SPACE}
    vocabulary = tuple(ours.get(names[number], names[number]) for number in range(count))
    for name in (BLANK, UNKNOWN, SPACE):
        if vocabulary.count(name) > 1:
            raise DataError(f"the vocabulary of {source} has several classes that mean {name}: give another recogniser")
    if BLANK not in vocabulary:
        raise DataError(f"the vocabulary of {source} has no blank ({tokeniser.pad_token}): give another recogniser")
    return vocabulary


def make_encoder(config: Mapping[str, Any]) -> nn.Module:
    """A freshly initialised speech encoder of a given configuration (wav2vec 2.0 where `model_type` is missing)."""
    _without_torchaudio()
    from transformers import AutoConfig, AutoModel

    values = dict(config)
    family = values.pop("model_type", "wav2vec2")
    encoder: nn.Module = AutoModel.from_config(AutoConfig.for_model(_known(family, "the configuration"), **values))
    return encoder


def _plain(config: Any) -> dict[str, Any]:
    values = json.loads(config.to_json_string(use_diff=False))
    return {name: value for name, value in values.items() if name not in _NOT_CONTENT}


def _fetch(kind: Any, source: str, **options: Any) -> Any:
    """A network or its configuration, of a family that is known here."""
    found = _found(kind, source, **options)
    described: Any = found[0] if isinstance(found, tuple) else found  # with loading info, a pair
    _known(getattr(described, "config", described).model_type, source)
    return found


def _found(kind: Any, source: str, *, what: str = "speech encoder", file: str = "config.json", **options: Any) -> Any:
    """`kind.from_pretrained`: a folder as it is; a hub id from this machine, and over the network only if need be.

    what: it is called in messages. file: a folder must have it.
    """
    source = os.path.expanduser(source)
    if os.path.isdir(source):
        return _from_folder(kind, source, what, file, options)
    if source.startswith((".", "/", "~")) or source.count("/") > 1:
        raise DataError(f"{what} folder {source!r} does not exist; give a folder or a hub id such as owner/name")
    try:
        try:
            return kind.from_pretrained(source, local_files_only=True, **options)
        except OSError:
            return kind.from_pretrained(source, **options)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{what} {source!r} is not on this machine and cannot be downloaded ({_first_line(error)}); "
            f"run `hf download {source}` where there is a network, or give the folder that holds the checkpoint"
        ) from error


def _from_folder(kind: Any, source: str, what: str, file: str, options: Mapping[str, Any]) -> Any:
    if not (Path(source) / file).is_file():
        raise DataError(f"{source} holds no {file}; a {what} is a folder that `save_pretrained` wrote")
    try:
        return kind.from_pretrained(source, local_files_only=True, **options)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise DataError(f"no {what} can be read from {source}: {_first_line(error)}") from error


def _known(family: str, source: str) -> str:
    if family not in FAMILIES:
        raise DataError(f"{source} describes a {family!r} network; speech encoders here are {', '.join(FAMILIES)}")
    return family


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _without_torchaudio() -> None:
    """Keep `transformers` from importing torchaudio, which it never needs here.

    It asks only whether torchaudio is installed, and a torchaudio built for CUDA dies with an OSError beside a CPU
    build of torch: every speech encoder would become unusable.
    """
    import transformers.utils as utils
    import transformers.utils.import_utils as import_utils

    def absent() -> bool:
        return False

    utils.is_torchaudio_available = absent
    import_utils.is_torchaudio_available = absent
