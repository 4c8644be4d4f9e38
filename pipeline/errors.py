"""The errors a user can meet. Each is one sentence: what is wrong, where, and what to do.

An exception class with an `exit_code` is such a sentence and is printed as it stands; anything else that escapes
a stage is a defect of ours and is printed with its type and a hint at `--debug`. `faces.errors.DataError`, which
cannot import this module, takes part by carrying the attribute.
"""

from __future__ import annotations


class PipeError(Exception):
    """Root of the errors that are meant for the user's eyes."""

    exit_code = 1


class RecipeError(PipeError):
    """A recipe, or the words of a command, cannot be understood. Nothing has run."""

    exit_code = 2


class StageError(PipeError):
    """A stage cannot do its work with the parameters and inputs it was given."""


class Interrupted(PipeError):
    """The user, or the scheduler, asked to stop; what was finished is kept and the next run goes on from there."""

    exit_code = 75
