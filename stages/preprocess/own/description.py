"""`dataset.toml`: what a folder of recordings says of itself. Light: planning reads it.

`read_description` checks every value and tells all mistakes at once; `stages.preprocess.own.writing` writes the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faces.errors import DataError, said
from faces.texts import read_toml
from pipeline.registry import nearest
from stages.kinds.card import Source
from stages.preprocess.own.names import Pattern
from stages.preprocess.own.splits import Part, read_parts

METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001}
"""Units that become metres."""
UNITS = (*METRES, "unit-area", "unknown")
AXES = ("x", "y", "z", "-x", "-y", "-z")
FORMS = ("npy", "npz", "meshes", "gltf", "csv")
UNSAID = "unknown"
MOST_FPS = 1000
SOURCE_KEYS = ("title", "citation", "url", "licence", "terms")
FILE_KEYS = (
    "form",
    "motion",
    "sound",
    "pattern",
    "sound_pattern",
    "array",
    "templates",
    "topology",
    "regions",
    "basis",
)
KEYS = ("name", "fps", "units", "up", "front", "source", "files", "splits")


@dataclass(frozen=True)
class Files:
    """Where things lie. form: of the motion. array: its name in npz files, "" where each holds one. basis: of
    blendshapes, for tables of weights. Paths are resolved; None where there is none.
    """

    form: str
    motion: Path
    sound: Path
    pattern: Pattern
    sound_pattern: Pattern
    array: str = ""
    templates: Path | None = None
    topology: Path | None = None
    regions: Path | None = None
    basis: Path | None = None


@dataclass(frozen=True)
class Description:
    """folder: where the file is. name: of the data set. fps: frames per second of the motion. units: what 1 is. up,
    front: the axes towards the top of the head and the tip of the nose. splits: in the order of the file.
    """

    folder: Path
    name: str
    fps: float
    units: str
    up: str
    front: str
    source: Source
    files: Files
    splits: Mapping[str, Part] = field(default_factory=dict)

    @property
    def conversion(self) -> dict[str, Any]:
        """What of it decides about every vertex."""
        return {
            "fps": self.fps, "units": self.units, "up": self.up, "front": self.front,
            "form": self.files.form, "array": self.files.array,
        }  # fmt: skip


def read_description(file: Path) -> Description:
    """Read `dataset.toml`. DataError with a line for each mistake."""
    try:
        tables = read_toml(file)
    except OSError as error:
        raise DataError(
            f"{file} cannot be read ({error.strerror}); write it with `pipe data init {file.parent}`"
        ) from None
    except ValueError as error:
        raise DataError(f"{file} is not TOML: {said(error)}; correct that line") from None
    problems = list[str]()
    found = _parse(file, tables, lambda sentence: problems.append(f"{file}: {sentence}"))
    if problems:
        raise DataError("\n".join(problems))
    return found


Report = Callable[[str], None]


def _parse(file: Path, tables: Mapping[str, Any], report: Report) -> Description:
    _known("the file", tables, KEYS, report)
    source = _table(tables, "source", SOURCE_KEYS, report)
    fps = tables.get("fps")
    if not isinstance(fps, int | float) or isinstance(fps, bool) or not 0 < fps <= MOST_FPS:
        report(f"fps is {_shown(fps)}; it must be the frames per second of the motion, such as 30")
        fps = 1.0
    up, front = (_word(tables, key, default, AXES, report) for key, default in (("up", "y"), ("front", "z")))
    if up[-1] == front[-1]:
        report(f"up = {up!r} and front = {front!r} are one axis; the nose points along another one")
    name = _text(tables, "name", file.parent.resolve().name, report)
    facts = {key: _text(source, key, UNSAID, report) for key in SOURCE_KEYS}
    return Description(
        folder=file.parent,
        name=name,
        fps=float(fps),
        units=_word(tables, "units", UNSAID, UNITS, report),
        up=up,
        front=front,
        source=Source(**(facts | {"title": _text(source, "title", name, report)})),
        files=_files(file.parent, _table(tables, "files", FILE_KEYS, report), report),
        splits=read_parts(tables.get("splits"), report),
    )


def _files(folder: Path, table: Mapping[str, Any], report: Report) -> Files:
    form = _word(table, "form", "", FORMS, report)
    pattern = _pattern(table, "pattern", Pattern("{subject}_{sentence}"), report)

    def path(key: str) -> Path | None:
        text = _text(table, key, "", report)
        return folder / text if text else None

    motion, sound = path("motion"), path("sound")
    if motion is None:
        report('[files] has no motion; name the folder of the recordings, "." for this one')
    if form == "csv" and path("basis") is None:
        report("[files] has no basis, and weights need shapes: a folder of meshes called after them, npz or glTF")
    return Files(
        form=form,
        motion=motion or folder,
        sound=sound or motion or folder,
        pattern=pattern,
        sound_pattern=_pattern(table, "sound_pattern", pattern, report),
        array=_text(table, "array", "", report),
        templates=path("templates"),
        topology=path("topology"),
        regions=path("regions"),
        basis=path("basis"),
    )


def _pattern(table: Mapping[str, Any], key: str, default: Pattern, report: Report) -> Pattern:
    text = _text(table, key, default.text, report)
    try:
        return Pattern(text)
    except ValueError as error:
        report(f"{key} = {_shown(text)} {said(error)}")
        return default


def _table(tables: Mapping[str, Any], key: str, keys: tuple[str, ...], report: Report) -> Mapping[str, Any]:
    table = tables.get(key, {})
    if not isinstance(table, dict):
        report(f"{key} must be a table, [{key}]")
        return {}
    _known(f"[{key}]", table, keys, report)
    return table


def _known(where: str, table: Mapping[str, Any], keys: tuple[str, ...], report: Report) -> None:
    for key in table:
        if key not in keys:
            report(f"{where} has the unknown key {_shown(key)}; it takes {', '.join(keys)}.{nearest(key[:40], keys)}")


def _text(table: Mapping[str, Any], key: str, default: str, report: Report) -> str:
    value = table.get(key, default)
    if isinstance(value, str):
        return value
    report(f"{key} is {_shown(value)}; it must be a text in quotes")
    return default


def _word(table: Mapping[str, Any], key: str, default: str, words: tuple[str, ...], report: Report) -> str:
    value = table.get(key, default)
    if value in words:
        return str(value)
    close = nearest(value[:40], words) if isinstance(value, str) else ""
    report(f"{key} is {_shown(value)}; it must be one of {', '.join(words)}.{close}")
    return words[0]


def _shown(value: Any) -> str:
    """A value of the file, fit for a sentence."""
    try:
        return said(repr(value))
    except ValueError:  # Python writes no number of so many digits
        return "a very large number"
