"""Patterns such as "{subject}_{sentence}": how a file's place tells who speaks and what.

They are held against a file's path below its folder, without its ending. A field takes anything but "/"; where two
stand side by side the first takes as much as it can, and a field `{subject:word}` holds no "_", "-" or blank.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

FIELD = re.compile(r"\{(\w+)(?::(\w+))?\}")
NAMES = ("subject", "sentence")
FORMS = {None: r"[^/]+", "word": r"[^/_\s-]+"}
ONLY = "subject"
"""Whom a pattern without a subject means: data of one speaker."""


@dataclass(frozen=True)
class Pattern:
    """text: with {sentence} once and {subject} at most once. ValueError, the end of a sentence, for anything else."""

    text: str

    def __post_init__(self) -> None:
        fields = FIELD.findall(self.text)
        unknown = [name for name, _ in fields if name not in NAMES]
        if unknown:
            raise ValueError(f"has the field {{{unknown[0]}}}; there are {{subject}} and {{sentence}}")
        if [name for name, _ in fields].count("sentence") != 1 or len({name for name, _ in fields}) < len(fields):
            raise ValueError("must have {sentence} once and {subject} at most once")
        if any(form not in ("", "word") for _, form in fields):
            raise ValueError("knows fields as {subject} and as {subject:word}")
        if re.search(r"[{}]", FIELD.sub("", self.text)):
            raise ValueError("has a brace that belongs to no field")

    def split(self, path: str) -> tuple[str, str] | None:
        """(subject, sentence) of a path without its ending; None where it is not of this pattern."""
        found = self._expression.fullmatch(path)
        if not found:
            return None
        fields = found.groupdict()
        return fields.get("subject", ONLY), fields["sentence"]

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        parts, at = list[str](), 0
        for field in FIELD.finditer(self.text):
            parts += [re.escape(self.text[at : field.start()]), f"(?P<{field[1]}>{FORMS[field[2]]})"]
            at = field.end()
        return re.compile("".join([*parts, re.escape(self.text[at:])]))
