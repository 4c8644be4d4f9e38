"""Which files of the user's are a speaker's motion and sound, and what the speaker is called. Light, for planning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import RecipeError, StageError
from stages.kinds.checkpoint import speaks_in_styles
from stages.voice.sound_files import ENDINGS, in_order, plain_id

MOTION = ".npy"
NEUTRAL = ("neutral.ply", "neutral.obj", "template.ply", "template.obj")
"""The speaker's own neutral face, where it lies beside the clips."""
WANTED = f"give a motion file ({MOTION}) with its sound beside it, or a folder of such pairs"


class Pair(NamedTuple):
    """The files of one clip."""

    motion: Path
    sound: Path


class Newcomer(NamedTuple):
    """A new speaker. mesh: the file of the neutral face, None where there is none beside the clips."""

    name: str
    clip: str
    mesh: str | None


def pairs_in(clip: Path) -> dict[str, Pair]:
    """Id → files, of one motion file or of those in a folder that have sound. StageError where there is none."""
    if clip.is_file():
        if clip.suffix.lower() != MOTION:
            raise StageError(f"{clip} is no motion: {WANTED}")
        if (sound := _sound_of(clip)) is None:
            raise StageError(f"{clip} has no sound beside it: put {clip.stem}.wav there (or {', '.join(ENDINGS[1:])})")
        return {plain_id(clip.stem): Pair(clip, sound)}
    if not clip.is_dir():
        raise StageError(f"{clip} is not there: {WANTED}")
    found = {name: (file, _sound_of(file)) for name, file in in_order(_motions(clip)).items()}
    pairs = {name: Pair(file, sound) for name, (file, sound) in found.items() if sound is not None}
    if not pairs:
        raise StageError(f"{clip} holds no motion ({MOTION}) with sound of the same name beside it: {WANTED}")
    return pairs


def without_sound(clip: Path) -> list[Path]:
    """Motion in a folder that is left out."""
    return [file for file in _motions(clip) if _sound_of(file) is None] if clip.is_dir() else []


def newcomer(word: str, model: str, subjects: Sequence[str]) -> Newcomer:
    """Who speaks in the clips that the word after --style-from names, called after them. subjects: the model's so far.

    RecipeError where there are no clips, where the model has no styles, or where a training subject is called so.
    """
    if not speaks_in_styles(model):
        raise RecipeError(f"--style-from: {model} has no styles and speaks in one manner for everybody; leave it out")
    clip = Path(word)
    try:
        pairs_in(clip)
    except StageError as error:
        raise RecipeError(f"--style-from: {error}") from None
    name = plain_id(clip.stem if clip.is_file() else clip.resolve().name)
    if name in subjects:
        raise RecipeError(
            f"--style-from {word}: {name} was trained on and has a style already; say --style {name}, or call the clip "
            "otherwise"
        )
    folder = clip if clip.is_dir() else clip.parent
    mesh = next((folder / name for name in NEUTRAL if (folder / name).is_file()), None)
    return Newcomer(name, word, str(mesh) if mesh else None)


def _motions(folder: Path) -> list[Path]:
    return [
        file for file in sorted(folder.iterdir()) if file.suffix.lower() == MOTION and not file.name.startswith(".")
    ]


def _sound_of(motion: Path) -> Path | None:
    """Of several, the one whose ending is looked for first."""
    beside = {file.suffix.lower(): file for file in sorted(motion.parent.iterdir()) if file.stem == motion.stem}
    return next((beside[ending] for ending in ENDINGS if ending in beside), None)
