"""The one error of this package: data that cannot be used, said in a sentence that names the file and the remedy."""

from __future__ import annotations


class DataError(ValueError):
    """A file or an array is not what it should be. The message says what, where and what to do."""

    exit_code = 1


def said(error: object) -> str:
    """What another's error says, fit for one of our sentences: on one line, and not the whole of a damaged file."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:300] + " …"
