"""BIWI as its corpus was handed out: frames inside archives, which stay packed, and sound inside videos."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from faces.vl import write_vl
from stages.kinds.sequences import Sequences
from stages.preprocess.biwi import Settings
from tests.stages.preprocess.biwi_files import (
    POINTS,
    RATE,
    SENTENCES,
    TRAIN,
    BiwiData,
    biwi_data,
    refuse,
    run_biwi,
    skips,
)
from tests.stages.preprocess.biwi_video import write_flv

FIRST = "F2_e01"
LEAVE_OUT = r'leave it out with skip = \["F2_e01"\]'
Members = list[tuple[str, bytes]]


def pack(root: Path, ending: str = ".tar", change: Callable[[Members], Members] = list) -> Path:
    """Every folder of frames becomes an archive in its place."""
    for folder in sorted((root / "faces").glob("*/*/")):
        members = [(f"{folder.name}/{file.name}", file.read_bytes()) for file in sorted(folder.iterdir())]
        write_archive(folder.with_name(folder.name + ending), change(members))
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    return root


def write_archive(file: Path, members: Members) -> None:
    if file.suffix == ".zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members:
                archive.writestr(name, content)
        return
    with tarfile.open(file, "w:gz" if file.suffix in (".gz", ".tgz") else "w") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def same(one: Path, two: Path) -> bool:
    files = sorted(file.relative_to(one) for file in one.rglob("*") if file.is_file())
    assert len(files) == 2 * 9 + 4 + 2
    return all((one / file).read_bytes() == (two / file).read_bytes() for file in files)


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tgz", ".zip"])
def test_packed_frames_are_the_same_frames(tmp_path: Path, ending: str) -> None:
    root = biwi_data().write(tmp_path / "raw")
    plain = run_biwi(tmp_path / "plain", root)
    packed = run_biwi(tmp_path / "packed", pack(root, ending))
    assert same(plain.out, packed.out)
    assert not list((root / "faces").rglob("*.vl"))
    half = Sequences(run_biwi(tmp_path / "half", root, fps=12.5).out)
    np.testing.assert_array_equal(half.vertices(FIRST), Sequences(plain.out).vertices(FIRST)[::2])


@pytest.mark.parametrize("ending", [".tar", ".tar.gz"])
def test_the_order_in_the_archive_and_what_else_lies_in_it_are_no_matter(tmp_path: Path, ending: str) -> None:
    root = biwi_data().write(tmp_path / "raw")
    plain = run_biwi(tmp_path / "plain", root)

    def shuffle(members: Members) -> Members:
        more = [("e01/._frame_001.vl", b"what other systems leave"), ("e01/readme.txt", b"hello")]
        return [*members[::-1], *more]

    assert same(plain.out, run_biwi(tmp_path / "packed", pack(root, ending, shuffle)).out)


def test_a_folder_wins_over_the_same_packed(tmp_path: Path) -> None:
    root = biwi_data().write(tmp_path / "raw")
    write_archive(root / "faces" / "F2" / "e01.tar", [])
    job = run_biwi(tmp_path / "job", root)
    assert len(Sequences(job.out).ids()) == 9
    assert "archives beside folders of the same frames, which are not read: 1" in job.said
    assert Settings(root=str(root)).sources().files["the frames of F2_e01"] == root / "faces" / "F2" / "e01"


def test_the_plan_tells_archives_by_their_content(tmp_path: Path) -> None:
    root = pack(biwi_data((TRAIN,), ("e01",)).write(tmp_path / "raw"))
    assert Settings(root=str(root)).sources().files["the frames of F2_e01"] == root / "faces" / "F2" / "e01.tar"


@pytest.mark.parametrize(("sentences", "count"), [("auto", 3), ("emotional", 3), ("neutral", 2), ("all", 5)])
def test_halves_of_the_corpus_packed_and_with_videos(tmp_path: Path, sentences: str, count: int) -> None:
    data = biwi_data((TRAIN,), ("e01", "e33", "e37", "01", "37"))
    root = pack(data.write(tmp_path / "raw"))
    to_videos(root, data)
    read = Sequences(run_biwi(tmp_path / "job", root, sentences=sentences).out)
    wanted = {"emotional": {"e01", "e33", "e37"}, "neutral": {"01", "37"}}
    expected = wanted.get({"auto": "emotional"}.get(sentences, sentences), wanted["emotional"] | wanted["neutral"])
    assert set(read.ids()) == {f"F2_{sentence}" for sentence in expected}
    assert len(read.ids()) == count
    assert set(read.ids("test-a")) <= {"F2_e37"}


# --- sound in videos -----------------------------------------------------------------------------------------------


def to_videos(root: Path, data: BiwiData, sentences: tuple[str, ...] = ()) -> None:
    """The sound of these sentences, or of all, goes from wav files into videos."""
    for (subject, sentence), samples in data.audio.items():
        if not sentences or sentence in sentences:
            (root / "audio" / f"{subject}_{sentence}_cut.wav").unlink()
            write_flv(root / "videos" / f"{subject}_{sentence}.flv", np.stack([samples] * 2), RATE)


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> BiwiData:
    """Sound at a rate that the container knows."""
    monkeypatch.setattr("tests.stages.preprocess.biwi_files.RATE", 11025)
    monkeypatch.setattr("tests.stages.preprocess.test_biwi_packed.RATE", 11025)
    return biwi_data()


def test_sound_comes_from_videos_where_there_is_no_wav(tmp_path: Path, data: BiwiData) -> None:
    root = data.write(tmp_path / "raw")
    plain = run_biwi(tmp_path / "plain", root)
    to_videos(root, data, SENTENCES[:2])
    mixed = run_biwi(tmp_path / "mixed", root)
    assert same(plain.out, mixed.out)
    assert Settings(root=str(root)).sources().files["the sound of F2_e01"] == root / "videos" / "F2_e01.flv"


def test_a_wav_wins_over_a_video(tmp_path: Path, data: BiwiData) -> None:
    root = data.write(tmp_path / "raw")
    write_flv(root / "videos" / "F2_e01.flv", np.ones((1, 9000), np.int16), 11025)
    read = Sequences(run_biwi(tmp_path / "job", root).out)
    samples, rate = soundfile.read(read.wav(FIRST), dtype="int16")
    np.testing.assert_array_equal(samples, data.audio[TRAIN, "e01"])
    assert rate == 11025


def test_videos_may_lie_elsewhere(tmp_path: Path, data: BiwiData) -> None:
    root = data.write(tmp_path / "raw")
    to_videos(root, data)
    (root / "videos").rename(tmp_path / "films")
    assert len(Sequences(run_biwi(tmp_path / "job", root, videos=str(tmp_path / "films")).out).ids()) == 9


def test_a_video_that_is_none(tmp_path: Path) -> None:
    root = biwi_data().write(tmp_path / "raw")
    (root / "audio" / f"{FIRST}_cut.wav").unlink()
    (root / "videos").mkdir()
    (root / "videos" / f"{FIRST}.flv").write_bytes(b"<html>")
    refuse(tmp_path, root, rf"{FIRST}\.flv cannot be read as sound .*{LEAVE_OUT}")


def test_a_video_without_sound(tmp_path: Path) -> None:
    root = biwi_data().write(tmp_path / "raw")
    (root / "audio" / f"{FIRST}_cut.wav").unlink()
    write_flv(root / "videos" / f"{FIRST}.flv", np.zeros((1, 0), np.int16), 11025)
    skips(tmp_path, root, [FIRST], "its recording has no sound")


# --- archives that are not what they should be ---------------------------------------------------------------------


def without(name: str) -> Callable[[Members], Members]:
    return lambda members: [member for member in members if not member[0].endswith(name)]


def also(name: str, content: bytes = b"") -> Callable[[Members], Members]:
    return lambda members: [*members, (name, content or members[0][1])]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (without("frame_004.vl"), r"e01\.tar: frame 4 is missing between e01/frame_003\.vl and e01/frame_005\.vl; "),
        (also("e01/copy_4.vl"), r"e01\.tar has frame 4 twice, e01/copy_4\.vl and e01/frame_004\.vl"),
        (also("e02/frame_010.vl"), r"e01\.tar holds frames in 'e01' and in 'e02'; pack each sequence alone"),
        (also("e01/frame_010.vl", b"short"), r"e01\.tar, e01/frame_010\.vl is no whole \.vl frame: it has 5 bytes"),
        (also("e01/frame_010.obj"), r"e01\.tar holds \.vl and \.obj files"),
        (also("../frame_010.vl"), r"e01\.tar is refused: the name '\.\./frame_010\.vl' in it leads out"),
        (lambda _: [("e01/1.obj", b"v 0 0 0")], r"e01\.tar holds meshes; only \.vl frames are read inside archives"),
    ],
)
def test_an_archive_that_is_not_as_it_should_be(
    tmp_path: Path, change: Callable[[Members], Members], sentence: str
) -> None:
    data = biwi_data((TRAIN,), ("e01",))
    refuse(tmp_path, pack(data.write(tmp_path / "raw"), ".tar", change), sentence)


def test_a_frame_of_another_vertex_count_or_no_number(tmp_path: Path) -> None:
    for number, (points, sentence) in enumerate(
        [
            (POINTS[:5], rf"e01/frame_010\.vl has 5 vertices, but the templates have 6; .*{LEAVE_OUT}"),
            (POINTS * np.nan, rf"e01/frame_010\.vl: NaN or infinite vertices; .*{LEAVE_OUT}"),
        ]
    ):
        content = write_vl(tmp_path / f"{number}.vl", points).read_bytes()
        root = biwi_data((TRAIN,), ("e01",)).write(tmp_path / f"raw{number}")
        refuse(tmp_path / f"{number}", pack(root, ".tar", also("e01/frame_010.vl", content)), sentence)


def test_an_archive_that_is_cut_short(tmp_path: Path) -> None:
    root = pack(biwi_data((TRAIN,), ("e01",)).write(tmp_path / "raw"))
    file = root / "faces" / "F2" / "e01.tar"
    file.write_bytes(file.read_bytes()[:4000])
    refuse(tmp_path, root, r"e01\.tar is cut short; copy or download the archive again")


def test_an_empty_archive_is_skipped(tmp_path: Path) -> None:
    root = pack(biwi_data().write(tmp_path / "raw"))
    write_archive(root / "faces" / "F2" / "e01.tar", [])
    skips(tmp_path, root, [FIRST], "no frames")


def test_two_archives_of_one_sequence(tmp_path: Path) -> None:
    root = pack(biwi_data((TRAIN,), ("e01",)).write(tmp_path / "raw"))
    write_archive(root / "faces" / "F2" / "e01.zip", [])
    refuse(tmp_path, root, r"faces holds F2_e01 twice, e01\.tar and e01\.zip; remove one")
