"""Tolerances that a case's notes state in words: "out/a_* and out/b: what they are; their tolerance is 1e-5"."""

from __future__ import annotations

import re

_QUOTE = r"[`'\"]?"
_WORD = rf"{_QUOTE}%s[^\s:,;()`'\"]+{_QUOTE}(?:\s*\([^)]*\))?"
_NAMES = rf"{_WORD % 'out/'}(?:(?:\s*,\s*(?:and|or)\s+|\s*,\s*|\s+(?:and|or|&)\s+){_WORD % '(?:out/)?'})*"
_NUMBER = r"(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?)"

_SENTENCE = re.compile(r"(?<=[.;!?])\s+")
_DEFINITION = re.compile(rf"(?P<names>{_NAMES})\s*:")
_MENTION = re.compile(r"out/[^\s:,;()`'\"]+")
_TOLERANCE = re.compile(
    # "tolerance of out/a and out/b is 1e-5", "tolerance: 1e-5", "tolerance of 1e-5 for out/a"
    rf"tolerances?(?:\s+(?:of|for|on)\s+(?P<before>{_NAMES}))?\s*(?:is|are|of|:|=)?\s*{_NUMBER}"
    rf"(?:\s+(?:for|on)\s+(?P<after>{_NAMES}))?",
    re.IGNORECASE,
)


def stated_tolerances(note: str) -> list[tuple[str, float]]:
    """(output pattern, tolerance) for every tolerance that a note states.

    It holds for the outputs that stand right beside it; else for those the text is defining ("out/a, out/b: …"), be it
    in an earlier sentence; else for all that the sentence names.
    """
    stated: list[tuple[str, float]] = []
    defined: list[str] = []
    for sentence in _SENTENCE.split(note):
        definitions = list(_DEFINITION.finditer(sentence))
        for found in _TOLERANCE.finditer(sentence):
            beside = _patterns(found["before"] or found["after"] or "")
            before = [_patterns(each["names"]) for each in definitions if each.end() <= found.start()]
            names = beside or (before[-1] if before else defined) or _mentions(sentence)
            stated += [(name, float(found["number"])) for name in names]
        defined = _patterns(definitions[-1]["names"]) if definitions else defined
    return stated


def _patterns(names: str) -> list[str]:
    """The names of a list of them, without what stands in brackets."""
    bare = re.sub(r"\([^)]*\)", " ", names)
    return [_pattern(name) for name in re.split(r"\s*,\s*|\s+", bare) if name not in ("", "and", "or", "&")]


def _mentions(sentence: str) -> list[str]:
    return [_pattern(name) for name in _MENTION.findall(sentence)]


def _pattern(name: str) -> str:
    """`out/grad/<name>`, `out/grad_...` → what `fnmatch` takes."""
    name = name.strip("`'\"").removeprefix("out/")
    return re.sub(r"<[^>]*>|\.\.\.|…", "*", name).rstrip(".")
