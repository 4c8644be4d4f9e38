"""Which files of the user's are sound, in what order, and what each is called. Light, for planning."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import StageError
from stages.preprocess.sound_endings import CONTAINERS
from stages.preprocess.sound_endings import ENDINGS as COMMON

ENDINGS = (*COMMON, ".opus", ".oga", ".aiff", ".aif", *(ending for ending in CONTAINERS if ending not in COMMON))
"""What is taken out of a folder. A file that is named itself may have any ending."""


def sounds_in(audio: Path) -> dict[str, Path]:
    """Id → file, of a file or of those in a folder, as a person would count them: take 2 before take 10.

    StageError where there is no sound.
    """
    if audio.is_file():
        return {plain_id(audio.stem): audio}
    if not audio.is_dir():
        raise StageError(f"{audio} is not there: give a file of sound, or a folder of them")
    found = [path for path in audio.iterdir() if _is_sound(path)]
    if not found:
        raise StageError(f"{audio} holds no sound: none of its files ends in {', '.join(ENDINGS)}")
    return in_order(found)


def plain_id(name: str) -> str:
    """A name as files of an artifact may have it: letters, digits, "_", "-" and ".", no dot first."""
    return re.sub(r"[^\w.-]+", "_", name).lstrip(".") or "sound"


def _is_sound(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".") and path.is_file()


def _counted(path: Path) -> tuple[list[tuple[int, str]], int, str]:
    """Numbers in a name count as such, and spaces do not; of two files of one name the ending that is looked for first
    comes first."""
    words = re.split(r"(\d+)", re.sub(r"[\s_-]+", "", path.stem).lower())
    parts = [(int(word), "") if word.isdecimal() else (-1, word) for word in words]
    ending = path.suffix.lower()
    return parts, ENDINGS.index(ending) if ending in ENDINGS else len(ENDINGS), path.name


def in_order(files: Iterable[Path]) -> dict[str, Path]:
    """Files as a person would count them, each under a name of its own: of several that would be called alike, the
    later ones are numbered."""
    files = sorted(files, key=_counted)
    found: dict[str, Path] = {}
    plain = {plain_id(path.stem) for path in files}
    for path in files:
        name, number = plain_id(path.stem), 1
        while (unique := name if number == 1 else f"{name}-{number}") in found or (number > 1 and unique in plain):
            number += 1
        found[unique] = path
    return found
