"""Forms of a recipe: tables of it that lie over the rest when they are asked for.

`[as_published]` reproduces the paper's own way where the recipe's is a faster equivalent; `[tiny]` shrinks either to
minutes. Both hold addresses as they stand at the top, `step.train.epochs = 1`, and are merged leaf by leaf through
`extends`. The form as published has a name, and so a folder of results, of its own, since one compares it with the
other; a tiny one only proves that everything fits.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pipeline import toml
from pipeline.errors import RecipeError
from pipeline.toml import Address, Leaf, Origin

TINY, AS_PUBLISHED = "tiny", "as_published"
SWITCH: Address = ("recipe", AS_PUBLISHED)
"""What switches the form as published on in the file itself, or with --set."""

TABLES = (AS_PUBLISHED, TINY)
_NAME: Address = ("recipe", "name")
_MEANING = {TINY: "tiny form", AS_PUBLISHED: "form as published"}

Overlays = Mapping[str, Mapping[Address, Leaf]]
"""Form → what it sets; a recipe that lacks a form lacks its entry."""


class Form(NamedTuple):
    """Which tables lie over a recipe; tiny above as published."""

    tiny: bool = False
    as_published: bool = False

    @property
    def options(self) -> list[str]:
        """The words that ask for it on the command line."""
        return ["--as-published"] * self.as_published + ["--tiny"] * self.tiny

    @property
    def tables(self) -> list[str]:
        """From the lowest to the highest."""
        return [AS_PUBLISHED] * self.as_published + [TINY] * self.tiny


PLAIN = Form()


def split(leaves: Mapping[Address, Leaf]) -> tuple[dict[Address, Leaf], Overlays]:
    """What always holds, and what each form lays over it. RecipeError where a form is no table."""
    plain: dict[Address, Leaf] = {}
    overlays: dict[str, dict[Address, Leaf]] = {}
    for address, leaf in leaves.items():
        if address[0] not in _MEANING:
            plain[address] = leaf
        elif len(address) > 1:
            overlays.setdefault(address[0], {})[address[1:]] = leaf
        elif leaf.value != {}:
            raise RecipeError(f"{leaf.origin}: {address[0]!r} must be a table of what that form sets")
    return plain, overlays


def had(path: Path) -> list[Form]:
    """The forms that a recipe file has, the plain one first. RecipeError where it cannot be read."""
    _, overlays = split(toml.read(path))
    tiny, published = ([False, True] if table in overlays else [False] for table in (TINY, AS_PUBLISHED))
    return [Form(small, faithful) for faithful in published for small in tiny]


def switched(leaves: dict[Address, Leaf]) -> dict[Address, Leaf]:
    """As `--as-published` switches it."""
    return toml.placed(leaves, SWITCH, Leaf(True, Origin("--as-published")))


def laid(
    path: Path, leaves: dict[Address, Leaf], overlays: Overlays, form: Form
) -> tuple[dict[Address, Leaf], dict[Address, str]]:
    """The leaves with a form's tables over them, and which table has set what.

    Raises:
        RecipeError: the recipe has no such table, or the table switches a form.
    """
    origins: dict[Address, str] = {}
    for table in form.tables:
        if table not in overlays:
            raise RecipeError(f"{toml.shown(path)} has no [{table}] table, so there is no {_MEANING[table]} of it")
        if SWITCH in overlays[table]:
            where = overlays[table][SWITCH].origin
            raise RecipeError(f"{where} [{table}]: only [recipe] itself, --set or --as-published switch {AS_PUBLISHED}")
        if table == AS_PUBLISHED:
            leaves = _renamed(path, leaves)
        leaves = {**leaves, **overlays[table]}
        origins |= dict.fromkeys(overlays[table], table)
    return leaves, origins


def _renamed(path: Path, leaves: dict[Address, Leaf]) -> dict[Address, Leaf]:
    name = leaves[_NAME].value if _NAME in leaves else path.stem
    return leaves | {_NAME: Leaf(f"{name}-{AS_PUBLISHED}", leaves[SWITCH].origin)}
