"""Pretrained `transformers` checkpoints as inputs: found without importing anything, fetched when a run needs them.

A folder counts by the content of its configuration and weight files; a hub id by the commit that its main branch
had when it was downloaded, which is what `from_pretrained` will load.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cache.statcache import StatCache
from pipeline.errors import StageError

_FILES = ("config.json", "preprocessor_config.json", "model.safetensors", "pytorch_model.bin")
TEXT_FILES = ("vocab.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
"""Files that say what a recogniser's classes stand for; most checkpoints lack some."""


class NotDownloaded(StageError):
    """A hub checkpoint that is not on this machine yet."""


def identity(source: str, stats: StatCache) -> dict[str, Any]:
    """What stands in a key for a pretrained checkpoint. NotDownloaded, or StageError for a folder without one."""
    folder = Path(source).expanduser()
    if folder.is_dir():
        files = {name: stats.content(folder / name) for name in _FILES if (folder / name).is_file()}
        if "config.json" not in files or len(files.keys() & set(_FILES[2:])) == 0:
            raise StageError(
                f"{source} holds no transformers checkpoint (config.json and model.safetensors or pytorch_model.bin); "
                "save one there with save_pretrained"
            )
        return files
    commit = _cached_commit(source)
    if not commit:
        raise NotDownloaded(
            f"the pretrained encoder {source!r} is neither a folder here nor in the Hugging Face cache; `pipe run` "
            "downloads it where there is a network, else download it elsewhere and name its folder"
        )
    return {"hub": source, "commit": commit}


def fetch(source: str) -> None:
    """Download a hub checkpoint. StageError, with the hub's reason, where that fails."""
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(source, allow_patterns=[*_FILES, *TEXT_FILES])
    except Exception as error:
        raise StageError(
            f"the pretrained encoder {source!r} could not be downloaded ({type(error).__name__}); check the name and "
            "the network, or give the folder of a copy"
        ) from error


def hub_folder(source: str) -> Path:
    """Where the hub's cache keeps a checkpoint, whether it is there or not."""
    home = os.environ.get("HF_HOME") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "huggingface"
    )
    hub = Path(os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub"))
    return hub / f"models--{source.replace('/', '--')}"


def _cached_commit(source: str) -> str:
    try:
        return (hub_folder(source) / "refs" / "main").read_text().strip()
    except OSError:
        return ""
