"""The errors of the store, each one sentence with its remedy."""

from __future__ import annotations


class CacheError(Exception):
    """The store cannot be read or written as asked."""

    exit_code = 1


class LeaseTaken(CacheError):
    """Another living process works on this key."""


class LeaseLost(CacheError):
    """This process was taken for dead while it was suspended, and another one has its work now."""


class Unreadable(CacheError):
    """An artifact is there, and this user may not read it."""
