"""Which pattern the names of files follow: the one by which most motion finds its sound, and people say the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from stages.datainit.survey import Survey
from stages.preprocess.own.layout import unfit
from stages.preprocess.own.names import Pattern

Name = tuple[str, str]

IN_A_NAME = (
    "{subject}_{sentence}",
    "{subject:word}_{sentence}",
    "{subject}-{sentence}",
    "{subject:word}-{sentence}",
    "{sentence}",
)
ONE_SUBJECT = 0.5
"""What a pattern is worth by which all is one person's; several of whom each says the same are worth 1."""


@dataclass(frozen=True)
class Naming:
    """motion, sound: pattern of each. names: of the motion. pairs: those with sound."""

    motion: Pattern
    sound: Pattern
    names: list[Name]
    pairs: dict[Name, tuple[Path, Path]]

    @property
    def subjects(self) -> list[str]:
        return sorted({subject for subject, _ in self.names})

    def sentences(self, subject: str) -> list[str]:
        return sorted(sentence for who, sentence in self.names if who == subject)


def find_naming(found: Survey, wish: str) -> Naming:
    """The best of the usual patterns, or the one wished for (ValueError, the end of a sentence, where it is none)."""
    motion, sound = _inside(found.motion, found.motion_folder), _inside(found.sound, found.sound_folder)
    patterns = [Pattern(wish)] if wish else list(_patterns(list(motion)))
    others = patterns if wish else [*patterns, *_patterns(list(sound))]
    tried = [_naming(one, other, motion, sound) for one in patterns for other in dict.fromkeys([one, *others])]
    return max(tried, key=lambda naming: (len(naming.pairs), len(naming.names), _worth(naming)))


def _inside(paths: Sequence[Path], folder: Path) -> dict[str, Path]:
    """Path below the folder without its ending → file or folder."""
    named = {p: p.relative_to(folder) for p in paths}
    return {(inside if path.is_dir() else inside.with_suffix("")).as_posix(): path for path, inside in named.items()}


def _patterns(paths: Sequence[str]) -> Iterator[Pattern]:
    """Usual ones for paths of this depth; a folder of one name for all is part of the pattern."""
    parts = [PurePosixPath(path).parts for path in paths]
    depths = {len(part) for part in parts}
    if len(depths) != 1 or not parts:
        yield from (Pattern(text) for text in IN_A_NAME)
        return
    columns = list(zip(*parts, strict=True))
    varied = [k for k, column in enumerate(columns) if len(set(column)) > 1] or [len(columns) - 1]
    fixed = [column[0] for column in columns]
    if len(varied) >= 2:
        fixed[varied[0]], fixed[varied[-1]] = "{subject}", "{sentence}"
        yield Pattern("/".join(fixed))
        return
    for text in IN_A_NAME:
        fixed[varied[0]] = text
        yield Pattern("/".join(fixed))


def _naming(one: Pattern, other: Pattern, motion: dict[str, Path], sound: dict[str, Path]) -> Naming:
    moves = {name: path for inside, path in motion.items() if (name := _split(one, inside))}
    speaks = {name: path for inside, path in sound.items() if (name := _split(other, inside))}
    pairs = {name: (moves[name], speaks[name]) for name in moves if name in speaks}
    return Naming(one, other, sorted(moves), pairs)


def _split(pattern: Pattern, inside: str) -> Name | None:
    name = pattern.split(inside)
    return name if name and not unfit(name) else None


def _worth(naming: Naming) -> float:
    """How full the table of subjects and sentences is."""
    subjects = len(naming.subjects)
    if subjects < 2:
        return ONE_SUBJECT
    return len(naming.names) / (subjects * len({sentence for _, sentence in naming.names}))
