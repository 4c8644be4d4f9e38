"""Each format with the reader that users' files meet, and, where there is another reader, what it makes of them."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from faces import obj
from faces.archives import Archive
from faces.arrays import open_npy, read_npy, read_npz
from faces.errors import DataError
from faces.mesh import read_mesh
from faces.regions import read_region
from faces.safe_pickle import load_pickle
from faces.vl import read_vl
from models.old_torch_file import read_old
from stages.audio import speech
from stages.kinds.checkpoint import read_weights
from stages.kinds.features import Features
from stages.kinds.predictions import Predictions
from stages.preprocess.container_sound import read_container
from stages.preprocess.sound import Unusable, read_wav
from stages.preprocess.split_file import read_splits
from tests.fuzz import seeds
from tests.fuzz.data_formats import DATA_FORMATS
from tests.fuzz.form import Format
from tests.fuzz.lip_formats import LIP_FORMATS


def _npy(file: Path) -> None:
    array = read_npy(file)
    assert np.array_equal(array, open_npy(file), equal_nan=array.dtype.kind in "fc")
    try:
        theirs = np.load(file, allow_pickle=False)
    except Exception:  # they refuse more, such as headers with a superfluous comma
        return
    assert array.dtype == theirs.dtype
    assert array.shape == theirs.shape
    assert array.tobytes() == theirs.tobytes()


def _obj(file: Path) -> None:
    mesh = read_mesh(file)
    with np.errstate(over="ignore"):
        vertices, faces = obj._parse_lines(file, file.read_bytes(), True, np.float32)
    np.testing.assert_array_equal(mesh.vertices, vertices)
    np.testing.assert_array_equal(mesh.faces, faces)
    assert obj.read_positions(file).shape == vertices.shape


def _vl(file: Path) -> None:
    points = read_vl(file)
    assert points.nbytes in (file.stat().st_size - 4, file.stat().st_size - 8)


def _archive(theirs: Callable[[bytes], dict[str, bytes]]) -> Callable[[Path], None]:
    def read(file: Path) -> None:
        with Archive.open(file) as archive:
            found = {name: archive.read(name) for name in archive.names}
            assert all(len(found[name]) == archive.size(name) for name in found)
        try:
            expected = theirs(file.read_bytes())
        except Exception:  # their readers refuse, or stumble over, what is not looked at here: times, owners
            return
        assert all(content in (found[name], None) for name, content in expected.items() if name in found)

    return read


def _their_zip(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _their_tar(content: bytes) -> dict[str, bytes]:
    if len(content) > 1 << 16:
        return {}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive if member.isreg()}  # type: ignore[union-attr]


def _sound(file: Path) -> None:
    try:
        clip = read_wav(file)
        assert clip.samples.dtype == np.int16
    except (Unusable, DataError):
        pass
    wave = speech(file)
    assert np.isfinite(wave).all()


def _container(file: Path) -> None:
    try:
        clip = read_container(file)
    except Unusable:
        return
    assert clip.samples.dtype == np.int16


def _weights(file: Path) -> None:
    for tensor in read_weights(file).values():
        float(tensor.double().sum())


def _old_weights(file: Path) -> None:
    for tensor in read_old(file).values():
        assert tensor.numel() * tensor.element_size() <= len(file.read_bytes())
        float(tensor.double().sum())


def _features(file: Path) -> None:
    features = Features(file.parent)
    try:
        for name in features.ids():
            assert features[name].ndim is not None
            features.length(name)
        if "hidden" in features:
            features.hidden("A_s1")
    finally:
        features.close()


FORMATS = {
    "pkl": Format("a.pkl", seeds.pickles, load_pickle),
    "npy": Format("a.npy", seeds.npy, _npy),
    "npz": Format("a.npz", seeds.npz, read_npz),
    "ply": Format("a.ply", seeds.ply, read_mesh),
    "obj": Format("a.obj", seeds.obj, _obj),
    "vl": Format("a.vl", seeds.vl, _vl),
    "tar": Format("a.tar", seeds.tar, _archive(_their_tar)),
    "zip": Format("a.zip", seeds.zips, _archive(_their_zip)),
    "region": Format("a.txt", seeds.regions, lambda file: read_region(file, 4)),
    "split": Format("a.toml", seeds.splits, read_splits),
    "index": Format("predictions.json", seeds.index, lambda file: Predictions(file.parent).info),
    "sound": Format("a.wav", seeds.sounds, _sound),
    "flv": Format("a.flv", seeds.videos, _container),
    "m4a": Format("a.m4a", seeds.recordings, _container),
    "safetensors": Format("a.safetensors", seeds.safetensors, _weights),
    "pt": Format("a.pth", seeds.checkpoints, _weights),
    "old-pt": Format("a.pth", seeds.old_checkpoints, _old_weights),
    "h5": Format("features.h5", seeds.hdf5, _features),
    **DATA_FORMATS,
    **LIP_FORMATS,
}
