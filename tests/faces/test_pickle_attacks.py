"""What crafted pickles could do to other readers: take memory, time, or NumPy's own trust in a file."""

from __future__ import annotations

import pickle
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from faces.errors import DataError
from faces.safe_pickle import load_pickle

RECONSTRUCT = (
    b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t"
    b"c_codecs\nencode\n(X\x01\x00\x00\x00bX\x06\x00\x00\x00latin1tRtR"
)
DTYPE = (
    b"cnumpy\ndtype\n(X\x02\x00\x00\x00%s\x89\x88tR(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
)
EIGHT = b"C\x08\x00\x00\x00\x00\x00\x00\x00\x00"
MILLION = b"J\x00\x00\x00\x10"


def array(shape: bytes, kind: bytes = b"f8", content: bytes = EIGHT) -> bytes:
    return (
        b"\x80\x05" + RECONSTRUCT + b"(K\x01(" + shape + b"t" + DTYPE.replace(b"%s", kind) + b"\x89" + content + b"tb."
    )


KEPT = array(b"K\x01").replace(b"\x80\x05", b"\x80\x05]").replace(b"(K\x01(", b"q\x01ah\x01(K\x01(", 1)[:-1] + b"0."
MEMO = b"\x80\x02]r\xff\xff\xff\x7f."
"""An index at which the compiled unpickler would fill 34 GB."""
ENCODE = b"c_codecs\nencode\n(h\x01X\x06\x00\x00\x00latin1tR0"
ATTACKS = {
    "bytes of a terabyte": b"\x80\x05\x8e" + struct.pack("<Q", 10**12) + b"abc.",
    "a bytearray of a terabyte": b"\x80\x05\x96" + struct.pack("<Q", 10**12) + b"abc.",
    "a frame of a terabyte": b"\x80\x05\x95" + struct.pack("<Q", 10**12) + b"abc.",
    "a text of 4 GB": b"\x80\x05X\xff\xff\xff\xffabc.",
    "a constructor of zeros": b"\x80\x02cbuiltins\nbytearray\n(" + MILLION + b"tR.",
    "a constructor of bytes": b"\x80\x02c__builtin__\nbytes\n(" + MILLION + b"tR.",
    "an array by its constructor": b"\x80\x02cnumpy\nndarray\n((" + MILLION + b"ttR.",
    "an array by NEWOBJ": b"\x80\x02cnumpy\nndarray\n((" + MILLION + b"tt\x81.",
    "more than its bytes": array(MILLION),
    "a shape below zero": array(b"J\xff\xff\xff\xff"),
    "a shape that overflows": array(b"\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x20" * 2 + b"K\x08"),
    "objects beyond the list": array(MILLION, b"O8", b"(NNl"),
    "objects from bytes": array(b"K\x01", b"O8"),
    "records": array(b"K\x01", b"V8"),
    "a state for a list": b"\x80\x02](K\x01tb.",
    "an array that is never filled": b"\x80\x02" + RECONSTRUCT + b".",
    "an array kept before it is filled": KEPT,
    "a function as data": b"\x80\x02]c_codecs\nencode\na.",
    "an old instance": b"\x80\x02(ios\nsystem\n.",
    "an old object": b"\x80\x02(cbuiltins\nset\no.",
    "a registered class": b"\x80\x02\x82\x01.",
    "an outside object": b"\x80\x02X\x01\x00\x00\x00aQ.",
    "an outside buffer": b"\x80\x05\x97.",
    "a huge integer": b"\x80\x02\x8b" + struct.pack("<I", 70) + bytes(69) + b"\x01.",
    "a key that takes for ever to hash": b"\x80\x02}K\x01\x85" + b"2\x86" * 60 + b"K\x01s.",
    "keys that collide": b"\x80\x02}\x8a\x08" + struct.pack("<q", (1 << 61) - 1) + b"K\x01s.",
    "lists in lists": b"\x80\x02" + b"]" * 1000 + b"a" * 999 + b".",
    "bytes again and again": b"\x80\x02X\x00\x00\x08\x00" + b"a" * 0x80000 + b"q\x010" + ENCODE * 99 + b"N.",
    "an unknown step": b"\x80\x02\xff.",
    "nothing on the stack": b".",
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_in_a_sentence_and_in_little_memory(tmp_path: Path, name: str) -> None:
    (tmp_path / "data.pkl").write_bytes(ATTACKS[name])
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"data\.pkl is (cut short|refused|a damaged pickle)") as caught:
            load_pickle(tmp_path / "data.pkl")
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)


def test_what_is_harmless_in_that_form_is_read(tmp_path: Path) -> None:
    (tmp_path / "data.pkl").write_bytes(array(b"K\x01"))
    assert load_pickle(tmp_path / "data.pkl").tolist() == [0.0]
    (tmp_path / "data.pkl").write_bytes(MEMO)
    assert load_pickle(tmp_path / "data.pkl") == []


def test_too_many_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faces.safe_pickle._Steps.left", 1000)
    (tmp_path / "data.pkl").write_bytes(b"\x80\x02](" + b"}" * 1000 + b"e.")
    with pytest.raises(DataError, match="more than 4,000,000 parts"):
        load_pickle(tmp_path / "data.pkl")


SOUND = [
    np.zeros((2, 3), ">f8"), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.array(["ab", "c"]), np.zeros((0, 3)),
    np.array([1, "x", None], object), np.arange(12.0).reshape(2, 3, 2).transpose(1, 2, 0), np.arange(10)[::2],
    np.array([True]), np.float32(2), np.str_("a"),
]  # fmt: skip


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_every_order_and_type(tmp_path: Path, protocol: int) -> None:
    for thing in SOUND:
        (tmp_path / "data.pkl").write_bytes(pickle.dumps({"a": thing, "b": [thing]}, protocol))
        found = load_pickle(tmp_path / "data.pkl")["a"]
        np.testing.assert_array_equal(found, thing)
        assert type(found) is type(thing)
        assert found.dtype == thing.dtype


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values(tmp_path: Path, protocol: int) -> None:
    thing = [b"", b"ab", bytearray(b"ab"), bytearray(), {1, 2}, frozenset({"a"}), 1 + 2j, 2**70, -1.5, None, (1, (2,))]
    (tmp_path / "data.pkl").write_bytes(pickle.dumps(thing, protocol))
    assert load_pickle(tmp_path / "data.pkl") == thing
