"""Remotes of every kind, two stores, and an artifact to send between them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cache.lease import lease
from cache.remote import Moved, Remote
from cache.store import Artifact, Store
from tests.cache.test_store import KEY

FILES = {"wav/a.wav": "hello", "wav/b.wav": "world", "wav/twin.wav": "hello", "info.json": "{}"}


def publish(store: Store, files: dict[str, str] = FILES, key=KEY) -> Artifact:
    work = store.work("toy", key)
    store.begin(work)
    for name, text in files.items():
        (work.out / name).parent.mkdir(exist_ok=True)
        (work.out / name).write_text(text)
    return store.publish(work, "label", "sequences", {}, {"recipe": "r", "step": "s"})


def push(remote: Remote, artifact: Artifact, *, again: bool = False) -> Moved:
    moved = Moved()
    for _ in remote.push(artifact, moved, again=again):
        pass
    return moved


def pull(remote: Remote, store: Store, key=KEY) -> Artifact:
    parcel = remote.find("toy", key)
    assert parcel is not None
    work, done = store.work("toy", key), []
    store.begin(work)
    with lease(work.lease):
        for _ in remote.pull(parcel, store, work, Moved(), done):
            pass
    return done[0]


def texts(artifact: Artifact) -> dict[str, str]:
    return {name: (artifact.path / name).read_text() for name in artifact.manifest().files}


@pytest.fixture
def here(tmp_path: Path) -> Store:
    return Store(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Store:
    return Store(tmp_path / "there")


@pytest.fixture(params=["folder", "file", "memory", "s3", "ssh"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "ssh":
        server = request.getfixturevalue("sftp")
        server.known_to(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path))
        return f"ssh://me:word@127.0.0.1:{server.port}{tmp_path}/remote"
    if request.param == "s3":
        request.getfixturevalue("s3")
        return "s3://lab/some/where"
    if request.param == "memory":
        return f"memory://{tmp_path.name}/cache"
    return f"{'file://' if request.param == 'file' else ''}{tmp_path}/remote"


def objects(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "objects").rglob("*") if path.is_file())
