"""Archives are read in place, in any order and from any thread, and whatever could do harm is refused in a sentence."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from faces.archives import Archive
from faces.errors import DataError

FILES = {f"F1/e{k:02d}/frame_{n:03d}.vl": bytes([k, n]) * (300 * n + 1) for k in range(3) for n in range(4)}
LONG = "a" * 90 + "/" + "ü" * 90 + "/" + "c" * 90 + ".vl"


def write_tar(file: Path, files: dict[str, bytes], mode: str = "w", form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(file, mode, format=form) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file


def write_zip(file: Path, files: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(file, "w", kind) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file


def write(folder: Path, ending: str, files: dict[str, bytes] = FILES) -> Path:
    file = folder / f"frames{ending}"
    return write_zip(file, files) if ending == ".zip" else write_tar(file, files, "w" if ending == ".tar" else "w:gz")


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tgz", ".zip"])
def test_every_member_is_read_in_any_order_and_from_many_threads(tmp_path: Path, ending: str) -> None:
    with Archive.open(write(tmp_path, ending)) as archive:
        assert list(archive.names) == list(FILES)
        assert [archive.size(name) for name in archive.names] == [len(content) for content in FILES.values()]
        for name in [*FILES, *reversed(FILES)]:
            assert archive.read(name) == FILES[name]
            assert (archive.head(name, 7), archive.head(name, 1 << 20)) == (FILES[name][:7], FILES[name])
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(archive.read, [*FILES] * 5)) == [*FILES.values()] * 5
        copy = pickle.loads(pickle.dumps(archive))
    assert copy.read("F1/e02/frame_003.vl") == FILES["F1/e02/frame_003.vl"]
    copy.close()


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tars_of_every_format(tmp_path: Path, form: int) -> None:
    files = (
        FILES | ({} if form == tarfile.USTAR_FORMAT else {LONG: b"long"}) | {"d" * 80 + "/" + "e" * 80: b"", "x": b"y"}
    )
    with Archive.open(write_tar(tmp_path / "a.tar", files, form=form)) as archive:
        assert {name: archive.read(name) for name in archive.names} == files


def test_folders_are_passed_over_and_names_are_made_plain(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        folder = tarfile.TarInfo("./F1")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        tar.addfile(tarfile.TarInfo("./F1//frame.vl"))
    with Archive.open(tmp_path / "a.tar") as archive:
        assert archive.names == ("F1/frame.vl",)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.mkdir("F1")
        zipped.writestr("F1/frame.vl", b"1")
    with Archive.open(tmp_path / "a.zip") as archive:
        assert archive.names == ("F1/frame.vl",)


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".zip"])
@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "C:/x", "a\\..\\x", ".", "a\nb", "n" * 2000])
def test_names_that_lead_outside(tmp_path: Path, ending: str, name: str) -> None:
    with pytest.raises(DataError, match=r"frames\.\S+ is refused: the name .* leads out of the archive"):
        Archive.open(write(tmp_path, ending, {name: b"1"}))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE]
)
def test_links_devices_and_sparse_files_in_tars(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        member = tarfile.TarInfo("frame.vl")
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(DataError, match=r"a\.tar holds a (link|device|pipe|sparse file), 'frame\.vl'"):
        Archive.open(tmp_path / "a.tar")


def test_links_and_passwords_in_zips(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        entry = zipfile.ZipInfo("frame.vl")
        entry.create_system, entry.external_attr = 3, 0o120777 << 16
        zipped.writestr(entry, "/etc/passwd")
    with pytest.raises(DataError, match=r"a\.zip holds a link or a device, 'frame\.vl'"):
        Archive.open(tmp_path / "a.zip")
    content = bytearray(write_zip(tmp_path / "b.zip", {"x": b"y"}).read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "b.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"b\.zip is encrypted"):
        Archive.open(tmp_path / "b.zip")
    with pytest.raises(DataError, match="packed in a way that is not read here"):
        Archive.open(write_zip(tmp_path / "c.zip", {"x": b"y"}, zipfile.ZIP_LZMA))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("ending", [".tar", ".zip"])
def test_two_files_of_one_name(tmp_path: Path, ending: str) -> None:
    file = write(tmp_path, ending, {"a/x": b"1", "a/./x": b"2"})
    with pytest.raises(DataError, match=r"holds two files of the name 'a/x'"):
        Archive.open(file)


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".zip"])
def test_an_archive_that_is_cut_short_anywhere(tmp_path: Path, ending: str) -> None:
    content = write(tmp_path, ending).read_bytes()
    whole = len(content.rstrip(b"\0")) if ending == ".tar" else len(content)
    for size in [0, 1, 100, *range(300, whole, 997), whole - 1]:
        (tmp_path / "cut").write_bytes(content[:size])
        with pytest.raises(DataError, match=r"cut (is cut short|is damaged|is no archive).*"):
            Archive.open(tmp_path / "cut")
    if ending == ".tar":  # at the edge of a member too, where only the end mark is missing
        (tmp_path / "cut").write_bytes(content[:1024])
        with pytest.raises(DataError, match="cut is cut short; copy or download"):
            Archive.open(tmp_path / "cut")


def test_damage_in_the_middle_is_found(tmp_path: Path) -> None:
    content = bytearray(write(tmp_path, ".tar").read_bytes())
    content[1024 + 3] ^= 1
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.tar has a damaged header; copy it again"):
        Archive.open(tmp_path / "a.tar")
    packed = bytearray(gzip.compress(bytes(write(tmp_path, ".tar").read_bytes())))
    packed[-6] ^= 1
    (tmp_path / "a.tgz").write_bytes(packed)
    with pytest.raises(DataError, match=r"a\.tgz is damaged"):
        Archive.open(tmp_path / "a.tgz")
    stored = (
        write_zip(tmp_path / "a.zip", {"x": b"content"}, zipfile.ZIP_STORED)
        .read_bytes()
        .replace(b"content", b"c0ntent")
    )
    (tmp_path / "a.zip").write_bytes(stored)
    with Archive.open(tmp_path / "a.zip") as archive, pytest.raises(DataError, match=r"x in .*a\.zip is damaged"):
        archive.read("x")


def test_bombs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="200 times its own size"):
        Archive.open(write(tmp_path, ".tar.gz", {"zeros": bytes(40 << 20)}))
    with pytest.raises(DataError, match="200 times its own size"):
        Archive.open(write(tmp_path, ".zip", {"zeros": bytes(40 << 20)}))
    content = bytearray(write_zip(tmp_path / "lies.zip", {"x": bytes(1 << 20)}).read_bytes())
    struct.pack_into("<I", content, content.index(b"PK\1\2") + 24, 100)  # the unpacked size, in the table
    (tmp_path / "lies.zip").write_bytes(content)
    with Archive.open(tmp_path / "lies.zip") as archive, pytest.raises(DataError, match=r"x in .*lies\.zip is damaged"):
        archive.read("x")


def test_sizes_beyond_the_file_and_beyond_a_limit(tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.size = 1 << 60
    (tmp_path / "a.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(DataError, match=r"a\.tar is (cut short|refused)"):
        Archive.open(tmp_path / "a.tar")
    with Archive.open(write(tmp_path, ".tar")) as archive:
        with pytest.raises(DataError, match="has 1,802 bytes, more than the 1,000 that it may have"):
            archive.read("F1/e00/frame_003.vl", limit=1000)
        with pytest.raises(DataError, match=r"holds no F1/none\.vl"):
            archive.read("F1/none.vl")


def test_other_files(tmp_path: Path) -> None:
    for content, why in [
        (b"text " * 200, "is no archive"),
        (b"", "cut short"),
        (b"version https://git-lfs.g", "git-LFS"),
    ]:
        (tmp_path / "a.tar").write_bytes(content)
        with pytest.raises(DataError, match=why):
            Archive.open(tmp_path / "a.tar")
    with pytest.raises(DataError, match=r"absent\.tar cannot be read"):
        Archive.open(tmp_path / "absent.tar")
    with pytest.raises(DataError, match="cannot be read"):
        Archive.open(tmp_path)


def test_a_name_of_no_letters(tmp_path: Path) -> None:
    content = write_zip(tmp_path / "a.zip", {"x": b"y"}).read_bytes()
    at = content.index(b"PK\1\2")
    table = content[at : at + 28] + b"\0\0" + content[at + 30 : at + 46] + content[at + 47 :]
    (tmp_path / "a.zip").write_bytes(content[:at] + table.replace(b"\x2f\0\0\0", b"\x2e\0\0\0"))
    with pytest.raises(DataError, match=r"a\.zip is refused: the name '' in it leads out"):
        Archive.open(tmp_path / "a.zip")


def test_a_size_that_readers_understand_differently(tmp_path: Path) -> None:
    header = bytearray(tarfile.TarInfo("x").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\x000000000004\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a.tar").write_bytes(bytes(header) + b"abcd".ljust(512, b"\0") + bytes(1024))
    with pytest.raises(DataError, match=r"a\.tar (has a damaged header|is no archive)"):
        Archive.open(tmp_path / "a.tar")
