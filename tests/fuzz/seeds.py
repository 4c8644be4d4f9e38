"""Small valid files of each format, made here."""

from __future__ import annotations

import collections
import gzip
import io
import json
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from faces.mesh import Mesh, write_mesh
from faces.ply import ORDERS, write_ply
from faces.vl import write_vl
from stages.kinds.checkpoint import write_weights
from stages.kinds.features import Encoder, write_features
from tests.faces.test_safe_pickle import PYTHON_2
from tests.fuzz.mutations import Seed
from tests.stages.preprocess.av_files import write_m4a
from tests.stages.preprocess.biwi_video import write_flv

POINTS = np.array([[0, 0, 0], [1, 0.5, 0], [0.25, 1, 0], [0, 1e-3, 1.5]], np.float32)
FACES = np.array([[0, 1, 2], [0, 3, 1]], np.int32)
TABLE = {
    "a": {"x": POINTS, "n": np.arange(4), "r": 22000, "g": np.float32(0.5), "b": b"ab"},
    "l": [(1, "ü"), {2.5}, None, True, np.array([1, "x"], object)],
}
OBJ = b"# a head\nv 0 0 0\nv 1 0.5 0\nv 0.25 1e0 0\nv 0 -1.5 0.123456789\nvt 0 0\nf 1/1 2/1 3/1\nf -1//1 -2 1 3\n"
SPLITS = b"""[train]
subjects = ["F1", "M2"]
sentences = "1-32, 40"
[val]
subjects = ["F1"]
sentences = "33-36"
prefix = "e"
"""


def pickles(folder: Path) -> list[Seed]:
    return [Seed(pickle.dumps(TABLE, protocol)) for protocol in (0, 2, 4, 5)] + [Seed(PYTHON_2)]


def npy(folder: Path) -> list[Seed]:
    return [Seed(_saved(array)) for array in (POINTS, np.asfortranarray(POINTS), np.arange(6), np.array(["a", "bc"]))]


def npz(folder: Path) -> list[Seed]:
    savers: list[Any] = [np.savez, np.savez_compressed]
    packed = [_bytes(lambda stream, save=save: save(stream, A=POINTS, B=FACES)) for save in savers]
    inner = Seed(_saved(POINTS), lambda content: _zip({"A.npy": content, "B.npy": _saved(FACES)}))
    return [*map(Seed, packed), inner]


def ply(folder: Path) -> list[Seed]:
    return [Seed(write_ply(folder / "seed", POINTS, FACES, form=form).read_bytes()) for form in ORDERS]


def obj(folder: Path) -> list[Seed]:
    return [Seed(OBJ), Seed(write_mesh(folder / "seed.obj", Mesh(POINTS, FACES)).read_bytes())]


def vl(folder: Path) -> list[Seed]:
    return [Seed(write_vl(folder / "seed", POINTS).read_bytes()), Seed((4).to_bytes(8, "little") + POINTS.tobytes())]


FILES = {"F1/e01/frame_001.vl": b"\4\0\0\0" + POINTS.tobytes(), "F1/e01/" + "n" * 120: b"long", "x": b""}


def tar(folder: Path) -> list[Seed]:
    plain = [_tar(form) for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]
    summed = [Seed(content, _right_sums) for content in plain]
    packed = [Seed(content, lambda inner: gzip.compress(_right_sums(inner), 1)) for content in plain]
    return [*map(Seed, plain), *summed, *packed, Seed(gzip.compress(plain[0]))]


def zips(folder: Path) -> list[Seed]:
    return [Seed(_zip(FILES)), Seed(_zip(FILES, zipfile.ZIP_DEFLATED))]


def regions(folder: Path) -> list[Seed]:
    return [Seed(b"0\n3\n2\n3\n"), Seed(b"1, 2, 3 0\r\n"), Seed(b"3")]


def splits(folder: Path) -> list[Seed]:
    return [Seed(SPLITS)]


def index(folder: Path) -> list[Seed]:
    item = {"id": "a_s1", "subject": "a", "condition": "b", "split": "test", "frames": 3}
    facts = {"items": {"a": item}, "fps": 25.0, "units": "m", "dataset": "d", "model": "m"}
    return [Seed(json.dumps(facts).encode()), Seed(json.dumps(facts, indent=1).encode())]


def videos(folder: Path) -> list[Seed]:
    samples = (9000 * np.sin(np.arange(4000) / 7)).astype(np.int16)
    kinds = [("pcm_s16le", 1, 3), ("mp3", 2, 3), ("adpcm_swf", 1, 0)]
    return [
        Seed(write_flv(folder / "seed.flv", np.stack([samples] * channels), 11025, codec, pictures).read_bytes())
        for codec, channels, pictures in kinds
    ]


def recordings(folder: Path) -> list[Seed]:
    samples = (9000 * np.sin(np.arange(3000) / 7)).astype(np.int16)
    planes = (samples, np.stack([samples] * 2))
    return [Seed(write_m4a(folder / "seed.m4a", plane, 8000).read_bytes()) for plane in planes]


def sounds(folder: Path) -> list[Seed]:
    wave = 0.5 * np.sin(np.arange(900) / 7)

    def sound(form: str, kind: str) -> Seed:
        return Seed(_bytes(lambda stream: soundfile.write(stream, wave, 16000, format=form, subtype=kind)))

    wavs = [sound("WAV", kind) for kind in ("PCM_16", "PCM_24", "FLOAT")]
    others = [("WAVEX", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("AIFF", "PCM_16"), ("MP3", "MPEG_LAYER_III")]
    return [*wavs, *(sound(form, kind) for form, kind in others)]


def safetensors(folder: Path) -> list[Seed]:
    import torch

    write_weights(folder / "seed", {"a.weight": torch.from_numpy(POINTS), "b": torch.arange(3)})
    return [Seed((folder / "seed").read_bytes())]


def checkpoints(folder: Path) -> list[Seed]:
    import torch

    state = {"state_dict": collections.OrderedDict(a=torch.from_numpy(POINTS), b=torch.arange(3)), "epoch": 7}
    content = _bytes(lambda stream: torch.save(state, stream))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (key,) = (name for name in members if name.endswith("data.pkl"))
    return [Seed(content), Seed(members[key], lambda inner: _zip(members | {key: inner}))]


def old_checkpoints(folder: Path) -> list[Seed]:
    import torch

    state = collections.OrderedDict(a=torch.from_numpy(POINTS), b=torch.arange(3), c=torch.ones(2, 3).T)
    return [Seed(_bytes(lambda stream: torch.save(state, stream, _use_new_zipfile_serialization=False)))]


def hdf5(folder: Path) -> list[Seed]:
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=(5, 4)).astype(np.float32) for name in ("A_s1", "A_s2")}
    write_features(
        folder,
        arrays,
        Encoder("log-mel", "log-mel", 4),
        arrays.__getitem__,
        hidden=arrays.__getitem__,
        logits=arrays.__getitem__,
    )
    return [Seed((folder / "features.h5").read_bytes())]


def _bytes(write: Any) -> bytes:
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


def _saved(array: np.ndarray) -> bytes:
    return _bytes(lambda stream: np.save(stream, array))


def _zip(members: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    def write(stream: io.BytesIO) -> None:
        with zipfile.ZipFile(stream, "w", kind) as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    return _bytes(write)


def _tar(form: int) -> bytes:
    def write(stream: io.BytesIO) -> None:
        with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
            for name, content in FILES.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))

    return _bytes(write)[: 14 * 512]


def _right_sums(content: bytes) -> bytes:
    """Headers are to be believed, so that what they say is put to the test."""
    blocks = bytearray(content)
    for at in range(0, len(blocks) - 511, 512):
        if blocks[at + 257 : at + 262] == b"ustar":
            blocks[at + 148 : at + 156] = b" " * 8
            blocks[at + 148 : at + 156] = b"%06o\0 " % sum(blocks[at : at + 512])
    return bytes(blocks)
