"""A real SSH server with SFTP of the test's own, on localhost, for one user with a password."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Server:
    port: int
    key: str

    def known_to(self, home: Path) -> None:
        """As after a first login by hand."""
        (home / ".ssh").mkdir(parents=True, exist_ok=True)
        (home / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{self.port} {self.key}\n")


def _classes(paramiko: Any) -> tuple[Any, Any]:
    def answered(call: Any) -> Any:
        def wrapped(*arguments: Any) -> Any:
            try:
                return call(*arguments)
            except OSError as error:
                return paramiko.SFTPServer.convert_errno(error.errno)

        return wrapped

    class Door(paramiko.ServerInterface):  # type: ignore[misc]
        def check_channel_request(self, kind: str, number: int) -> int:
            return int(paramiko.OPEN_SUCCEEDED)

        def check_auth_password(self, user: str, password: str) -> int:
            return int(paramiko.AUTH_SUCCESSFUL if password == "word" else paramiko.AUTH_FAILED)

        def get_allowed_auths(self, user: str) -> str:
            return "password"

    class Files(paramiko.SFTPServerInterface):  # type: ignore[misc]
        @answered
        def stat(self, path: str) -> Any:
            return paramiko.SFTPAttributes.from_stat(os.stat(path))

        lstat = stat

        @answered
        def list_folder(self, path: str) -> Any:
            return [
                paramiko.SFTPAttributes.from_stat(os.stat(os.path.join(path, name)), name) for name in os.listdir(path)
            ]

        @answered
        def mkdir(self, path: str, attributes: Any) -> int:
            os.mkdir(path)
            return int(paramiko.SFTP_OK)

        @answered
        def remove(self, path: str) -> int:
            os.remove(path)
            return int(paramiko.SFTP_OK)

        @answered
        def posix_rename(self, old: str, new: str) -> int:
            os.replace(old, new)
            return int(paramiko.SFTP_OK)

        @answered
        def open(self, path: str, flags: int, attributes: Any) -> Any:
            descriptor = os.open(path, flags, 0o644)
            handle = paramiko.SFTPHandle(flags)
            handle.readfile = handle.writefile = os.fdopen(descriptor, "r+b" if flags & os.O_ACCMODE else "rb")
            return handle

    return Door, Files


@pytest.fixture
def sftp() -> Iterator[Server]:
    paramiko = pytest.importorskip("paramiko", reason="paramiko is not installed; pip install -e '.[dev]' brings it")
    door, files = _classes(paramiko)
    key = paramiko.ECDSAKey.generate()
    listener = socket.create_server(("127.0.0.1", 0))
    open_ones: list[Any] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            open_ones.append(transport)
            transport.add_server_key(key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, files)
            try:
                transport.start_server(server=door())
            except (paramiko.SSHException, EOFError):
                continue  # a client that hung up

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield Server(listener.getsockname()[1], f"{key.get_name()} {key.get_base64()}")
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for transport in open_ones:
        transport.close()
    thread.join(timeout=5)
