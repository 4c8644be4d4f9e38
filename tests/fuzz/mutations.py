"""Mutated files: a small valid one and a few edits, as a Hypothesis strategy, so that what fails is made small."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

LIMITS = [0, 1, 2, 3, 7, 127, 128, 255, 256, 32767, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 10**12, 2**62]
LIMITS += [2**63 - 1, 2**63, 2**64 - 1]
WORDS = [
    b"-1",
    b"0",
    b"1",
    b"4",
    b"99",
    b"-0",
    b"nan",
    b"1e999",
    b"2147483648",
    b"99999999999999999999",
    b"9" * 5000,
    b"",
]
WIDTHS = ["<B", "<H", "<I", "<Q", ">H", ">I", ">Q"]
TOKENS = [
    b"\0" * 16,
    b"\xff" * 8,
    b"../",
    b"/",
    b"\\",
    b"\n",
    b"\r\n",
    b" ",
    b"(",
    b"[" * 400,
    b"{" * 40,
    b"'",
    b'"',
    b"1" * 99,
]
KINDS = ["flip", "byte", "cut", "drop", "double", "insert", "number", "word", "splice", "swap"]
Finish = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Seed:
    """A valid file. finish: what makes an edited inside into a file: packs it, or puts a check sum right."""

    content: bytes
    finish: Finish = bytes


def edited(content: bytes, kind: str, where: int, what: int, other: bytes) -> bytes:
    """One edit. where, what: any numbers; they are taken modulo what there is to choose from."""
    at = where % (len(content) + 1)
    length = what % 64 + 1
    match kind:
        case "flip" if content:
            at %= len(content)
            return content[:at] + bytes([content[at] ^ (1 << what % 8)]) + content[at + 1 :]
        case "byte":
            return content[:at] + bytes([what % 256]) + content[at + 1 :]
        case "cut":
            return content[:at]
        case "drop":
            return content[:at] + content[at + length :]
        case "double":
            return content[:at] + content[at : at + length] * (what % 5 + 2) + content[at + length :]
        case "insert":
            return content[:at] + TOKENS[what % len(TOKENS)] + content[at:]
        case "number":
            width = WIDTHS[what % len(WIDTHS)]
            size = struct.calcsize(width)
            value = LIMITS[what // len(WIDTHS) % len(LIMITS)] % (1 << 8 * size)
            return content[:at] + struct.pack(width, value) + content[at + size :]
        case "word":
            found = list(re.finditer(rb"\d+", content[:4000]))
            if not found:
                return content
            span = found[where % len(found)].span()
            return content[: span[0]] + WORDS[what % len(WORDS)] + content[span[1] :]
        case "splice":
            return content[:at] + other[what % (len(other) + 1) :]
        case "swap":
            return (
                content[:at]
                + content[at + length : at + 2 * length]
                + content[at : at + length]
                + content[at + 2 * length :]
            )
    return content


ANY = st.integers(0, 2**40)
EDITS = st.lists(st.tuples(st.sampled_from(KINDS), ANY, ANY), min_size=1, max_size=5)


def mutated(seeds: list[Seed]) -> st.SearchStrategy[bytes]:
    """Files that are nearly valid."""

    def make(seed: Seed, other: Seed, edits: list[tuple[str, int, int]]) -> bytes:
        content = seed.content
        for kind, where, what in edits:
            content = edited(content, kind, where, what, other.content)
        return seed.finish(content)

    one: Any = st.sampled_from(seeds)
    return st.builds(make, one, one, EDITS)
