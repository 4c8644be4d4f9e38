"""The only door to `transformers`: configurations and weights of wav2vec 2.0, HuBERT and WavLM speech encoders.

A source is a folder that `save_pretrained` wrote, or a hub id, which is looked for on this machine first and then
downloaded. Whatever goes wrong ends in a DataError that says how to get the checkpoint. Importing this module is
light; its functions import `transformers`, which takes seconds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faces.errors import DataError

if TYPE_CHECKING:
    from torch import nn

FAMILIES = ("wav2vec2", "hubert", "wavlm")
# What `transformers` notes about a file rather than about the network; it would make equal configurations differ.
_NOT_CONTENT = ("_name_or_path", "transformers_version", "dtype", "torch_dtype", "architectures")


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
    """`kind.from_pretrained`: a folder as it is; a hub id from this machine, and over the network only if need be."""
    source = os.path.expanduser(source)
    if os.path.isdir(source):
        return _from_folder(kind, source, options)
    if source.startswith((".", "/", "~")) or source.count("/") > 1:
        raise DataError(
            f"speech encoder folder {source!r} does not exist; give a folder or a hub id such as owner/name"
        )
    try:
        try:
            found = kind.from_pretrained(source, local_files_only=True, **options)
        except OSError:
            found = kind.from_pretrained(source, **options)
    except (OSError, ValueError) as error:
        raise DataError(
            f"speech encoder {source!r} is not on this machine and cannot be downloaded ({_first_line(error)}); "
            f"run `hf download {source}` where there is a network, or give the folder that holds the checkpoint"
        ) from error
    return _checked(found, source)


def _from_folder(kind: Any, source: str, options: Mapping[str, Any]) -> Any:
    if not (Path(source) / "config.json").is_file():
        raise DataError(f"{source} holds no config.json; a speech encoder is a folder that `save_pretrained` wrote")
    try:
        found = kind.from_pretrained(source, local_files_only=True, **options)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise DataError(f"no speech encoder can be read from {source}: {_first_line(error)}") from error
    return _checked(found, source)


def _checked(found: Any, source: str) -> Any:
    described: Any = found[0] if isinstance(found, tuple) else found  # with loading info, a pair
    _known(getattr(described, "config", described).model_type, source)
    return found


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
