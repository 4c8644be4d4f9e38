"""What a remote's library throws, in a sentence: which remote, what is wrong, what to do."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator

from cache.errors import CacheError, RemoteDown, RemoteError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_NOBODY = ("NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError", "DefaultCredentialsError")
_REFUSED = ("AuthenticationException", "BadHostKeyException", "SSHException", "RefreshError", "ProfileNotFound")
_AWAY = re.compile(r"Timeout|Connect|Endpoint|gaierror|NoValidConnections|ClientOSError|ServerDisconnected")


@contextlib.contextmanager
def sentences(address: str, extra: str) -> Iterator[None]:
    """Turns what leaves the block into a RemoteError, RemoteDown where the remote does not answer."""
    try:
        yield
    except (CacheError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise _sentence(address, extra, error) from error


def _sentence(address: str, extra: str, error: Exception) -> CacheError:
    kind, text = type(error).__name__, _first_line(error)
    if isinstance(error, ImportError):
        return RemoteError(f"remote {address}: its library is not installed; run pip install 'facepipe[{extra}]'")
    if isinstance(error, OSError) and error.errno in _FULL:
        return CacheError(f"the disk is full while talking to {address}; free some space and run again")
    if kind in _NOBODY:
        return RemoteError(f"remote {address}: no credentials were found; {_WHERE[extra]}")
    if isinstance(error, PermissionError) or kind in _REFUSED:
        return RemoteError(f"remote {address}: access was refused ({text}); {_WHERE[extra]}")
    if isinstance(error, FileNotFoundError):
        what = "the bucket does not exist" if extra in ("s3", "gcs") else f"there is no {text}"
        return RemoteError(f"remote {address}: {what}; check the address")
    if isinstance(error, ConnectionError | TimeoutError) or _AWAY.search(kind):
        return RemoteDown(f"remote {address} cannot be reached ({text or kind})")
    return RemoteError(f"remote {address}: {kind}: {text}")


_WHERE = {
    "": "ask for the right to read and write there",
    "s3": "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "gcs": "check GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login",
    "ssh": "ssh must log in there without asking anything; try it once by hand",
}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0].strip()[:200]


def no_bucket(error: Exception) -> bool:
    """Whether it is the bucket that was not found, rather than something in it."""
    return "bucket does not exist" in str(error)
