"""What the user and the project have set: `pipe.toml`, the environment, options; later ones win.

    ~/.config/facepipe/pipe.toml    of the user (XDG_CONFIG_HOME is honoured)
    pipe.toml                       of the project: in the current folder, or the nearest one above it, no further up
                                    than the folder that holds .git, or the home folder
    PIPE_STORE, PIPE_REMOTE, …      the environment
    --store, --remote, …            options

Relative paths in a file count from that file, others from the current folder. A mistake in a file is a RecipeError
with file, line and the nearest spelling, all at once; where there is no file nothing is read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from cache.statcache import Trust
from pipeline.errors import RecipeError

if TYPE_CHECKING:
    from pipeline.toml import Leaf

FILE = "pipe.toml"
MODES = ("rw", "ro", "off")
"""rw: fetch and upload. ro: only fetch. off: as if there were no remote."""


@dataclass(frozen=True)
class Key:
    """One thing that can be set."""

    default: str
    help: str
    path: bool = False
    allowed: tuple[str, ...] = ()

    def flaw(self, value: object) -> str:
        """What is wrong with a value, or ""."""
        if not isinstance(value, str):
            return f"must be a text in quotes, not {value!r}"
        if self.allowed and value not in self.allowed:
            return f"is {value!r}; allowed: {', '.join(self.allowed)}"
        return ""


KEYS: Mapping[str, Key] = {
    "store": Key(".pipe", "folder of the artifacts", path=True),
    "outputs": Key("outputs", "folder of the links to results", path=True),
    "remote": Key("", "where to fetch artifacts from and upload them to", path=True),
    "remote_mode": Key("rw", "fetch and upload, only fetch, or neither", allowed=MODES),
    "trust": Key("stat", "how unchanged files are recognised", allowed=get_args(Trust)),
}


@dataclass(frozen=True)
class Setting:
    """A value and where it comes from."""

    value: str
    origin: str = "default"


Settings = Mapping[str, Setting]


def settings(options: Mapping[str, str | None]) -> Settings:
    """Every key with its value. RecipeError for what cannot be understood."""
    found = {name: Setting(key.default) for name, key in KEYS.items()}
    for file in _files():
        found |= _read(file)
    for name, key in KEYS.items():
        variable = f"PIPE_{name.upper()}"
        for value, origin in ((os.environ.get(variable), variable), (options.get(name), f"--{name.replace('_', '-')}")):
            if value:
                if flaw := key.flaw(value):
                    raise RecipeError(f"{origin} {flaw}")
                found[name] = Setting(value, origin)
    return {name: replace(s, value=_placed(s.value, Path())) if KEYS[name].path else s for name, s in found.items()}


def _files() -> list[Path]:
    """The files that are there, the user's first."""
    home = os.path.expanduser("~")
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    places = [os.path.join(base, "facepipe", FILE), _nearest(os.getcwd(), home)]
    return [Path(place) for place in dict.fromkeys(places) if place and os.path.isfile(place)]


def _nearest(folder: str, home: str) -> str:
    while True:
        place = os.path.join(folder, FILE)
        if os.path.isfile(place):
            return place
        above = os.path.dirname(folder)
        if folder in (home, above) or os.path.exists(os.path.join(folder, ".git")):
            return ""
        folder = above


def _read(file: Path) -> dict[str, Setting]:
    from pipeline import toml  # only where there is a file

    try:
        leaves = toml.expand(toml.read(file))
    except OSError as error:
        raise RecipeError(f"{toml.shown(file)} cannot be read ({error.strerror})") from None
    flaws = [flaw for address, leaf in leaves.items() if (flaw := _flaw(".".join(address), leaf))]
    if flaws:
        raise RecipeError("\n".join(flaws))
    found = {address[0]: Setting(leaf.value, str(leaf.origin)) for address, leaf in leaves.items()}
    return {
        name: replace(setting, value=_placed(setting.value, file.parent)) if KEYS[name].path else setting
        for name, setting in found.items()
    }


def _flaw(name: str, leaf: Leaf) -> str:
    if name not in KEYS:
        from pipeline.registry import nearest

        return f"{leaf.origin}: unknown key {name!r}; there are {', '.join(KEYS)}.{nearest(name, KEYS)}"
    flaw = KEYS[name].flaw(leaf.value)
    return f"{leaf.origin}: {name} {flaw}" if flaw else ""


def _placed(value: str, folder: Path) -> str:
    """A path made absolute; an address such as s3://bucket, and nothing, stay as they are."""
    if not value or "://" in value:
        return value
    return os.fspath((folder / Path(value).expanduser()).absolute())
