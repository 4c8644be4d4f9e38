"""Which clips a style is fitted to, and what the newcomer is called. Light, for planning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from faces.errors import DataError
from stages.kinds.sequences import Sequences, check_name


class Choice(Protocol):
    """Of the stage's parameters, those that choose."""

    @property
    def sequences(self) -> Sequence[str]: ...
    @property
    def subject(self) -> str | None: ...
    @property
    def splits(self) -> Sequence[str]: ...
    @property
    def name(self) -> str | None: ...


def chosen(data: Sequences, choice: Choice) -> tuple[str, list[str]]:
    """(the newcomer's name, ids). DataError where the data have no such clips, or they are of several subjects."""
    names = list(dict.fromkeys(choice.sequences)) if choice.sequences else _of_subject(data, choice)
    for name in names:
        data.check_motion(name)
    subjects = list(dict.fromkeys(data.entry(name).subject for name in names))
    if len(subjects) > 1:
        raise DataError(
            f"sequences are of {' and '.join(subjects)}, and a style is one subject's: name those of one, "
            "and fit the other in a step of its own"
        )
    return check_name(choice.name or subjects[0], "the parameter name"), names


def _of_subject(data: Sequences, choice: Choice) -> list[str]:
    """What a subject says, with its motion."""
    ids = data.ids_in(choice.splits) if choice.splits else data.ids()
    names = [name for name in ids if data.entry(name).subject == choice.subject and data.has_motion(name)]
    if not names:
        where = f" in {', '.join(choice.splits)}" if choice.splits else ""
        there = sorted({data.entry(name).subject for name in ids if data.has_motion(name)})
        raise DataError(
            f"{data.path} has no motion of {choice.subject}{where}; there is some of {', '.join(there) or 'nobody'}"
        )
    return names
