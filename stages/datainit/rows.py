"""The lines that `pipe data init` shows: what was found, how it was told, and what must be said first."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.ply import Mesh
from stages.datainit.guesses import KNOWN, Guess
from stages.datainit.naming import Naming
from stages.datainit.survey import Survey


@dataclass(frozen=True)
class Row:
    """One line of the table. sure: the user should not have to look twice. stops: the user must say it."""

    what: str
    value: str
    why: str = ""
    sure: bool = True
    stops: bool = False


@dataclass(frozen=True)
class Look:
    """What was read of the folder. model: with the triangles, which may be none."""

    found: Survey
    naming: Naming
    model: Mesh
    model_from: str
    topology: Path | None
    templates: Path | None
    moves: NDArray[np.float64]
    regions: Mapping[str, NDArray[np.int64]]


def rows_of(look: Look) -> Iterator[Row]:
    found, naming = look.found, look.naming
    folder = os.path.relpath(found.motion_folder, found.folder)
    yield Row("motion", f"{len(found.motion)} × {found.form} in {folder}", _others(found))
    yield Row("names", naming.motion.text, f"{len(naming.names)} of {len(found.motion)} fit", len(naming.names) > 0)
    yield Row("subjects", some(naming.subjects))
    sentences = sorted({sentence for _, sentence in naming.names})
    yield Row("sentences", some(sentences))
    sound = os.path.relpath(found.sound_folder, found.folder)
    yield Row("sound", f"{len(found.sound)} files in {sound}", f"{len(naming.pairs)} with motion", bool(naming.pairs))
    single = [name for name in naming.names if name not in naming.pairs]
    if single:
        yield Row("without sound", some(["_".join(name) for name in single]), "will be skipped", sure=False)
    spare = len(found.sound) - len(naming.pairs)
    if spare:
        yield Row("without motion", f"{spare} sounds", "will not be read", sure=False)
    count = len(look.model.vertices)
    known = KNOWN.get(count)
    yield Row(
        "topology",
        f"{count:,} vertices, {len(look.model.faces):,} triangles{f' (as many as {known})' if known else ''}",
        look.model_from,
    )
    yield Row("templates", *_template_row(look))
    yield Row(
        "regions",
        some(sorted(look.regions)) or "none",
        "" if look.regions else "give lips and upper_face for LVE and FDD",
    )
    for path, reason in list(found.odd.items())[:5]:
        if not (look.templates and look.templates in path.parents):
            yield Row(
                "not read",
                str(path.relative_to(found.folder)),
                reason.replace(f"{path} ", "").partition(";")[0],
                sure=False,
            )


def _others(found: Survey) -> str:
    return ", ".join(f"also there: {count} × {form}" for form, count in found.others.items())


def _template_row(look: Look) -> tuple[str, str]:
    if look.templates:
        return os.path.relpath(look.templates, look.found.folder), "neutral faces in files"
    if look.found.form in ("gltf", "csv"):
        return "all weights 0", ""
    return "first frames", "of each subject the first frame nearest to their median, as there is no neutral mesh"


def told(guesses: Mapping[str, Guess]) -> Iterator[Row]:
    for what, guess in guesses.items():
        value = f"{guess.value:g}" if isinstance(guess.value, float) else str(guess.value or "?")
        yield Row(what, value, guess.why, guess.sure)


def some(names: Sequence[str]) -> str:
    if len(names) <= 4:
        return ", ".join(names)
    return f"{len(names)}: {', '.join(names[:2])} … {names[-1]}"


def stopping(look: Look, rate: Guess, up: str, front: str) -> Iterator[Row]:
    """What has to be said or put there before anything can be written."""
    if rate.value is None:
        yield Row("to be said", "--fps", rate.why, sure=False, stops=True)
    if up[-1] == front[-1]:
        yield Row("to be said", "--up and --front", "they are one axis", sure=False, stops=True)
    if not look.naming.names:
        yield Row("to be said", "--pattern", "no name fits", sure=False, stops=True)
    if not len(look.model.faces):
        why = "one mesh of this topology, with the vertices in the data's order"
        yield Row("to be put there", "triangles", why, sure=False, stops=True)
