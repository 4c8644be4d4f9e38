"""What the words of a command mean for a trained network: whose face, in whose style. Light, for planning.

A word that means nothing is a `RecipeError` that offers the nearest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faces.errors import DataError
from pipeline.errors import RecipeError, StageError
from pipeline.registry import nearest
from stages.adopt.about import File
from stages.infer import RULES
from stages.infer.styles import MEAN, style_of
from stages.kinds.checkpoint import Checkpoint, makes_motion, speaks_in_styles
from stages.kinds.predictions import remedy
from stages.kinds.sequences import Sequences
from stages.kinds.tracks import EXPRESSION

MESHES = (".ply", ".obj", ".off", ".stl")
MOST_NAMES = 12


@dataclass(frozen=True)
class Speaker:
    """What a network was trained for. subjects: of its training, in the order of the style. encoder: of its speech.
    Empty subjects and encoder: a motion prior, which does not speak. track: whose rows it moves, "" for vertices.
    framewise: whether it hears what a frozen encoder says of each frame, and so does not hold that encoder."""

    model: str
    subjects: Sequence[str]
    vertices: int
    fps: float
    dataset: str
    encoder: str
    track: str = ""
    framewise: bool = False

    @property
    def faceless(self) -> str:
        """Why there is nothing to be seen of what it makes, and what to do; "" of vertices."""
        return f"rows of the track {self.track!r} and no vertices: {remedy(self.track)}" if self.track else ""

    @property
    def drivable(self) -> bool:
        """Whether the stage `drive` makes faces of its rows."""
        return self.track == EXPRESSION


TOLD = ("train_subjects", "vertices", "fps", "encoder")


def of_folder(folder: Path) -> Speaker:
    """Of a checkpoint's folder. DataError where its config.json is none."""
    config = Checkpoint(folder).config
    facts: Any = config.facts if isinstance(config.facts, dict) else {}
    subjects, vertices, fps, encoder = (facts.get(name) for name in TOLD)
    track = facts.get("track") or ""
    named = isinstance(subjects, list) and all(isinstance(one, str) for one in subjects)
    rated = isinstance(fps, int | float) and fps > 0
    if not (named and rated and isinstance(vertices, int) and isinstance(encoder, str) and (subjects or not encoder)):
        raise DataError(f"{folder} does not say what its network was trained for: train again, or give another copy")
    framewise = bool(facts.get("framewise"))
    speaker = Speaker(config.model, subjects, vertices, float(fps), config.dataset, encoder, track, framewise)
    return _speaking(speaker, folder)


def of_file(file: File, fps: float) -> Speaker:
    """Of a released file; fps: as the user says it, 0 for unsaid."""
    released, home = file.released, file.home
    rate = fps or (home.fps if home else 0.0)
    dataset = home.dataset if home else ""
    return _speaking(
        Speaker(file.model, file.subjects, released.vertices, rate, dataset, released.encoder_name), file.path
    )


def _speaking(speaker: Speaker, where: Path) -> Speaker:
    if not speaker.encoder:
        raise RecipeError(
            f"{where} holds a motion prior ({speaker.model}), which does not speak: give the talking face that is "
            "built upon it"
        )
    if not makes_motion(speaker.model):
        raise RecipeError(f"{where} holds a recogniser ({speaker.model}), which does not speak: give a talking face")
    return speaker


def fits(folder: Path, speaker: Speaker) -> bool:
    """Whether an artifact of the kind `sequences` is of the data set that a network was trained on: all its training
    subjects are there, or none, where a released file does not name them."""
    try:
        info, templates = Sequences(folder).info, Sequences(folder).template_digests
    except DataError:
        return False
    same = (info.dataset, info.vertices) == (speaker.dataset, speaker.vertices) and speaker.fps in (0.0, info.fps)
    there = sum(subject in templates for subject in speaker.subjects)
    return same and there in (0, len(speaker.subjects)) and any(entry.frames for entry in info.sequences.values())


def choose_face(word: str, data: Path | None, splits: Sequence[str], where: str) -> tuple[str, str | None]:
    """(subject, mesh file or None) of the word after --subject; of no word the first whom `splits` test, or anybody.

    data: the folder of the sequences with the templates. where: the checkpoint, for sentences.
    """
    if Path(word).suffix.lower() in MESHES:
        if not Path(word).is_file():
            raise RecipeError(f"--subject {word}: there is no such file; give a mesh of a neutral face, or a name")
        return "", word
    if data is None:
        raise RecipeError(
            f"{where} comes without the data that it was trained on, so that no subject of theirs is known here: give "
            "the neutral face as a mesh of the same topology, --subject face.ply"
        )
    sequences = Sequences(data)
    known = list(sequences.template_digests)
    if not word:
        tested = [subject for split in splits for subject in sequences.subjects(split) if subject in known]
        return (tested or known)[0], None
    if word not in known:
        raise RecipeError(
            f"--subject {word}: {where} knows {_few(known)}, or give a mesh file (.ply, .obj).{nearest(word, known)}"
        )
    return word, None


def choose_styles(words: Sequence[str], subject: str, speaker: Speaker) -> str | list[str]:
    """The parameter `conditions` of the words after --style; of none the subject's own where it has one, else mean.

    A network without styles has no other than mean, whichever rule is said.
    """
    wanted = [part.strip() for word in words for part in word.split(",") if part.strip()]
    if not speaks_in_styles(speaker.model):
        if named := [word for word in wanted if word not in RULES]:
            raise RecipeError(
                f"--style {', '.join(named)}: {speaker.model} has no styles and speaks in one manner for everybody; "
                "leave --style out"
            )
        return MEAN
    if not wanted:
        return [subject] if subject in speaker.subjects else "mean"
    if "own" in wanted and not {subject, "own"} & set(speaker.subjects):
        raise RecipeError(
            f"--style own: {subject} was not trained on; write all, mean, or name styles: {_few(speaker.subjects)}"
        )
    if len(wanted) == 1 and wanted[0] in ("all", MEAN) and wanted[0] not in speaker.subjects:
        return wanted[0]
    named = [name for word in wanted for name in _meant(word, subject, speaker)]
    return list(dict.fromkeys(named))


def _meant(word: str, subject: str, speaker: Speaker) -> Sequence[str]:
    """A rule as the styles that it stands for, `mean` as itself; a name or a mixture once it is known to be one."""
    if word in RULES and word not in speaker.subjects:
        own = [subject] if subject in speaker.subjects else speaker.subjects
        return {"all": speaker.subjects, "own": own, "published": own}.get(word, [word])
    _check_style(word, speaker)
    return [word]


def _check_style(word: str, speaker: Speaker) -> None:
    try:
        style = style_of(word)
    except StageError as error:
        raise RecipeError(f"--style: {str(error).removeprefix('conditions names ')}") from None
    for name in style.weights:
        if name not in speaker.subjects:
            raise RecipeError(
                f"--style {word}: {name!r} is no style of this network, which was trained on {_few(speaker.subjects)}; "
                f"all and mean are of all of them.{nearest(name, [*speaker.subjects, *RULES])}"
            )


def _few(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join([*names[:MOST_NAMES], *([f"and {more} more"] if more > 0 else [])])
