"""A real S3 server of the test's own: moto's, in a process on localhost; and servers that are none."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

_SERVE = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print("{}:{}".format(*server.get_host_and_port()), flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Server:
    address: str
    process: subprocess.Popen[str]

    def request(self, method: str, path: str, data: bytes = b"") -> bytes:
        """Behind the back of the library under test."""
        asked = urllib.request.Request(f"http://{self.address}/{path}", data=data or None, method=method)
        with urllib.request.urlopen(asked, timeout=10) as answered:
            found: bytes = answered.read()
        return found


def start(**env: str) -> Server:
    """A server with an empty bucket "lab". Skips the test where the libraries are not installed."""
    for name in ("s3fs", "moto", "flask", "flask_cors"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed; pip install -e '.[dev]' brings it")
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE],
        env=os.environ | env,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    server = Server(process.stdout.readline().strip(), process)
    assert server.address, "the S3 server did not start"
    server.request("PUT", "lab")
    return server


def stop(server: Server) -> None:
    server.process.kill()
    server.process.communicate()


def environment(address: str) -> dict[str, str]:
    """What a user sets to reach a server of the group's own."""
    return {
        "AWS_ENDPOINT_URL": f"http://{address}",
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def point_at(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    for name, value in environment(address).items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    server = start()
    yield server
    stop(server)


@pytest.fixture
def s3(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, with the environment set for it and an empty bucket."""
    s3_server.request("POST", "moto-api/reset")
    s3_server.request("PUT", "lab")
    point_at(monkeypatch, s3_server.address)
    return s3_server


@pytest.fixture
def free_port() -> int:
    """Nobody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Somebody listens there, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]
