"""Arrays of every plain kind come back; what a header declares is believed only as far as the file goes."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from faces.arrays import npz_headers, open_npy, read_npy, read_npz
from faces.errors import DataError
from faces.safe_pickle import load_pickle

ARRAYS = [
    np.arange(24.0).reshape(2, 3, 4), np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3)), np.float32(3),
    np.zeros((0, 3)), np.array(["a", "bcd"]), np.array([True, False]), np.array([1 + 2j]), np.array([b"ab"]),
]  # fmt: skip


def header(shape: str, descr: str = "'<f8'", more: bytes = bytes(16)) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + more


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: str(array.dtype))
def test_plain_arrays(tmp_path: Path, array: np.ndarray, version: tuple[int, int]) -> None:
    with open(tmp_path / "a.npy", "wb") as stream:
        np.lib.format.write_array(stream, np.asanyarray(array), version)
    np.savez_compressed(tmp_path / "a.npz", a=array, b=array)
    found = read_npz(tmp_path / "a.npz")
    assert list(found) == ["a", "b"]
    for back in (read_npy(tmp_path / "a.npy"), open_npy(tmp_path / "a.npy"), found["a"]):
        np.testing.assert_array_equal(back, array)
        assert (back.dtype, back.shape) == (array.dtype, array.shape)


def test_a_header_of_python_2_and_entries_in_another_order(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(header("(2L,)"))
    assert read_npy(tmp_path / "a.npy").tolist() == [0.0, 0.0]
    text = b'{"shape": (2,), "fortran_order": False, "descr": "<f8"}\n'
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + bytes(16))
    assert read_npy(tmp_path / "a.npy").tolist() == [0.0, 0.0]


BAD = {
    "a terabyte": (header("(1000000000000,)"), "cut short: 144 of 8,000,000,000,128 bytes"),
    "a product that overflows": (header("(4611686018427387904, 4, 3)"), "its shape is"),
    "axes without end": (header("(0, 99999999999999999999999)"), "its shape is"),
    "many axes": (header("(" + "1," * 33 + ")"), "its shape is"),
    "a negative axis": (header("(-2,)"), "its header is damaged"),
    "objects": (header("(1,)", "'|O'"), "holds Python objects"),
    "records": (header("(1,)", "[('a', '<f8')]"), "or it holds records"),
    "dates": (header("(1,)", "'<M8[s]'"), "its header is damaged"),
    "an unknown kind": (header("(1,)", "'<f7'"), "holds the type '<f7'"),
    "texts of no length": (header("(9,)", "'<U0'"), "have no size"),
    "code": (header("__import__('os').abort()"), "its header is damaged"),
    "brackets": (header("(" * 50), "its header is damaged"),
    "another version": (header("(2,)").replace(b"\1\0", b"\7\0", 1), "does not begin as one"),
    "a long header": (b"\x93NUMPY\2\0\xff\xff\xff\xff" + bytes(99), "ends inside its header"),
    "a beginning": (b"\x93NUMPY", "it has 6 bytes"),
    "text": (b"not found, not found", "does not begin as one"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\n", "git-LFS pointer"),
}


@pytest.mark.parametrize(("content", "words"), BAD.values(), ids=BAD)
def test_what_is_not_to_be_read(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    for read in (read_npy, open_npy):
        with pytest.raises(DataError, match=words) as caught:
            read(tmp_path / "a.npy")
        assert "a.npy" in str(caught.value)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(DataError, match=words):
        read_npz(tmp_path / "a.npz")


def test_archives_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.npz cannot be read"):
        read_npz(tmp_path / "a.npz")
    with pytest.raises(DataError, match=r"a\.npy cannot be read"):
        read_npy(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("readme.txt", "text")
    with pytest.raises(DataError, match=r"holds 'readme\.txt', and an \.npz file holds arrays only"):
        read_npz(tmp_path / "a.npz")
    stream = io.BytesIO()
    np.save(stream, np.zeros(4 << 20))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.npy", stream.getvalue())
    with pytest.raises(DataError, match="200 times its own size"):
        read_npz(tmp_path / "a.npz")


def test_some_arrays_of_an_npz_and_what_all_say_of_themselves(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {"a": rng.random((3, 4)), "b": np.asfortranarray(rng.random((5, 2)).astype(np.float32)), "c": np.array(3)}
    np.savez_compressed(tmp_path / "a.npz", allow_pickle=False, **arrays)
    assert list(read_npz(tmp_path / "a.npz", {"b", "none"})) == ["b"]
    headers = npz_headers(tmp_path / "a.npz")
    assert {name: (header.shape, header.dtype) for name, header in headers.items()} == {
        name: (array.shape, array.dtype) for name, array in arrays.items()
    }


def test_a_header_in_an_npz_that_promises_more_than_there_is(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 3)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", stream.getvalue() + b"\0" * 100)
    for read in (read_npz, npz_headers):
        with pytest.raises(DataError, match="is cut short"):
            read(tmp_path / "a.npz")


@pytest.mark.parametrize("letter", [b"\xff\xff\xff\x7f", b"\0\xd8\0\0"])
def test_texts_of_what_are_no_characters(tmp_path: Path, letter: bytes) -> None:
    """At which Python's own strings give up, wherever they are first looked at."""
    content = header("(2,)", "'<U1'", letter * 2)
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npy cannot be read \(its texts are of what are no characters\)"):
        read_npy(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(DataError, match="its texts are of what are no characters"):
        read_npz(tmp_path / "a.npz")
    whole = pickle.dumps(np.array(["a", "b"]), protocol=2)
    (tmp_path / "a.pkl").write_bytes(whole.replace(b"a\0\0\0", b"\1\1\1\1"))
    with pytest.raises(DataError, match="its texts are of what are no characters"):
        load_pickle(tmp_path / "a.pkl")
