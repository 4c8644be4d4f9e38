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


class RemoteError(CacheError):
    """A remote cannot do what it was asked: it refuses, it lacks something, or it is set up wrongly."""


class RemoteDown(RemoteError):
    """A remote cannot be reached or does not answer; asking again soon is of no use."""


class RemoteDamaged(RemoteError):
    """What a remote holds is not what its name promises."""
