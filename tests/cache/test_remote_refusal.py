"""Remotes that refuse, are down or cannot be: one clear sentence each, and no password in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cache import transfer
from cache.address import shown
from cache.errors import RemoteDown, RemoteError
from cache.remote import Remote
from tests import sftp as ssh
from tests.cache.remotes import here, publish, push
from tests.cache.test_store import KEY
from tests.s3 import Server, free_port, point_at, s3, s3_server, silent_port, start, stop
from tests.sftp import sftp

__all__ = ["free_port", "here", "s3", "s3_server", "sftp", "silent_port"]
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("address", "kind", "sentence"),
    [
        ("ftp://host/x", RemoteError, "the protocol 'ftp' is not known; there are file, s3, gs, ssh, sftp"),
        ("file://nfs/x", RemoteError, "three slashes, as in file:///nfs/x"),
        ("s3://", RemoteError, "names no bucket or host"),
        ("ssh://me:secret@127.0.0.1:9/x", RemoteDown, "ssh://me:…@127.0.0.1:9/x cannot be reached"),
        ("/absent/disk/cache", RemoteError, "the folder /absent/disk does not exist .a disk that is not mounted"),
    ],
)
def test_an_address_that_cannot_be(address, kind, sentence, here) -> None:
    if address.startswith("ssh"):
        pytest.importorskip("paramiko", reason="paramiko is not installed; pip install -e '.[ssh]' brings it")
    with pytest.raises(kind, match=sentence) as raised:
        Remote(address).find("toy", KEY)
    assert "secret" not in str(raised.value)


def test_a_missing_library_is_said_with_its_extra() -> None:
    code = (
        "import sys\nfrom cache.remote import Remote\n"
        "for library, address in (('s3fs', 's3://b/x'), ('gcsfs', 'gs://b/x'), ('paramiko', 'ssh://h/x')):\n"
        "    sys.modules[library] = None\n"
        "    try:\n        Remote(address)\n    except Exception as error:\n        print(type(error).__name__, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    says = "its library is not installed; run pip install 'facepipe"
    assert done.stdout.splitlines() == [
        f"RemoteError remote s3://b/x: {says}[s3]'",
        f"RemoteError remote gs://b/x: {says}[gcs]'",
        f"RemoteError remote ssh://h/x: {says}[ssh]'",
    ]


def test_a_bucket_that_does_not_exist(s3: Server, here) -> None:
    for use in (
        lambda: Remote("s3://nowhere/x").find("toy", KEY),
        lambda: push(Remote("s3://nowhere/x"), publish(here)),
    ):
        with pytest.raises(RemoteError, match="remote s3://nowhere/x: the bucket does not exist; check the address"):
            use()


def test_wrong_credentials(monkeypatch) -> None:
    server = start(INITIAL_NO_AUTH_ACTION_COUNT="1")  # from then on this server knows nobody
    try:
        point_at(monkeypatch, server.address)
        with pytest.raises(RemoteError, match=r"access was refused .*; check AWS_ACCESS_KEY_ID") as raised:
            Remote("s3://lab/x").find("toy", KEY)
        assert not isinstance(raised.value, RemoteDown)
        assert "not-a-secret" not in str(raised.value)
    finally:
        stop(server)


def test_no_credentials(s3: Server, monkeypatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(RemoteError, match="no credentials were found; check AWS_ACCESS_KEY_ID"):
        Remote("s3://lab/x").find("toy", KEY)


def test_a_server_that_is_down(s3: Server, monkeypatch, free_port) -> None:
    point_at(monkeypatch, f"127.0.0.1:{free_port}")
    with pytest.raises(RemoteDown, match="remote s3://lab/x cannot be reached"):
        Remote("s3://lab/x").find("toy", KEY)


def test_a_server_that_hangs(s3: Server, monkeypatch, silent_port) -> None:
    point_at(monkeypatch, f"127.0.0.1:{silent_port}")
    monkeypatch.setattr(transfer, "PATIENCE_S", 0.3)
    with pytest.raises(RemoteDown, match="did not answer within 0 s"):
        Remote("s3://lab/x").find("toy", KEY)


def test_a_host_that_is_not_known_is_not_talked_to(sftp: ssh.Server, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(RemoteError, match=r"access was refused .*known_hosts.*; ssh must log in there without asking"):
        Remote(f"ssh://me:word@127.0.0.1:{sftp.port}/x")
    sftp.known_to(tmp_path)
    with pytest.raises(RemoteError, match=r"access was refused .Authentication failed"):
        Remote(f"ssh://me:wrong@127.0.0.1:{sftp.port}/x")


def test_passwords_are_not_shown() -> None:
    assert shown("ssh://me:pa/ss@word@host/x") == "ssh://me:…@host/x"
    assert shown("s3://bucket/a@b?key=1") == "s3://bucket/a@b"
    assert shown("/plain/folder") == "/plain/folder"
