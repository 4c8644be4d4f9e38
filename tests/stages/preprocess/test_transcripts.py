"""What is said, as a user has it in writing: it comes along, is checked, and no motion hangs on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from faces.errors import DataError
from stages.kinds.sequences import TRANSCRIPTS, Sequences, write_transcripts
from stages.preprocess import (
    Preprocess,
    biwi,
    given_transcripts,
    mead,
    own,
    published_transcripts,
    synthetic,
    synthetic_biwi,
    vocaset,
)
from stages.preprocess.synthetic.cast import Cast
from stages.preprocess.synthetic.speech import Utterance
from tests.stages.fake_job import FakeJob
from tests.stages.preprocess.biwi_files import biwi_data, run_biwi
from tests.stages.preprocess.mead_files import run_mead, write_ready
from tests.stages.preprocess.own_files import People, describe, write
from tests.stages.preprocess.raw_files import TRAIN, VAL, raw_data, run_stage

FIRST = f"{TRAIN}_sentence01"


def run_own(folder: Path, out: Path) -> Sequences:
    job = FakeJob.under(out)
    Preprocess(Preprocess.Params("own"), {"dataset": own.Settings(str(folder))}).run(job)
    return Sequences(job.out)


def digests(settings: Any) -> dict[str, str]:
    """Of what a data set's settings read, each file by its path and content."""
    files = settings.sources().files
    return {name: f"{file} {file.read_bytes().hex() if file.is_file() else ''}" for name, file in files.items()}


def test_equal_texts_are_equal_bytes(tmp_path):
    one = write_transcripts(tmp_path, {"b": "two", "a": "one"}).read_bytes()
    assert write_transcripts(tmp_path, {"a": "one", "b": "two"}).read_bytes() == one
    assert Sequences(tmp_path).transcripts == {"a": "one", "b": "two"}


def test_phonemes_as_one_writes_them():
    assert Utterance("_paS_so_", None).text == "pash so"
    assert Utterance("__", None).text == ""


def test_the_synthetic_heads_say_what_they_spoke(tmp_path):
    settings = synthetic.Settings(subjects=3, sentences=2, seconds=0.6)
    job = FakeJob.under(tmp_path)
    Preprocess(Preprocess.Params("synthetic", limit=1), {"dataset": settings}).run(job)
    data, cast = Sequences(job.out), Cast(3, 2, 0.6, 0, 2e-5)
    assert list(data.transcripts) == data.ids()
    assert len(data.ids()) == 3  # of four: a text of what is not there is left out
    for number, subject in enumerate(cast.names):
        sentence = int(next(name for name in data.ids() if name.startswith(subject))[-2:])
        assert data.transcripts[f"{subject}_sentence{sentence:02d}"] == cast.utterance(number, sentence)[0].text
    assert set("".join(data.transcripts.values())) <= set("aeioumbpfshtknlw ")


def test_so_do_those_of_biwis_size(tmp_path):
    settings = synthetic_biwi.Settings(subjects=2, sentences=3, seconds=0.6)
    job = FakeJob.under(tmp_path)
    Preprocess(Preprocess.Params("synthetic-biwi", 25.0), {"dataset": settings}).run(job)
    data = Sequences(job.out)
    assert list(data.transcripts) == data.ids()
    assert all(data.transcripts.values())


def test_texts_beside_vocaset_come_along(tmp_path):
    root = raw_data().write(tmp_path / "raw")
    assert not (run_stage(tmp_path / "none", root).out / TRANSCRIPTS).exists()
    before = digests(vocaset.Settings(str(root)))
    write_transcripts(root, {FIRST: "  She had\nyour dark suit ", f"{VAL}_sentence40": ""})
    data = Sequences(run_stage(tmp_path / "some", root).out)
    assert data.transcripts == {FIRST: "She had your dark suit", f"{VAL}_sentence40": ""}
    settings = vocaset.Settings(str(root))
    assert digests(settings).keys() - before.keys() == {given_transcripts.SOURCE}
    assert settings.items(digests(settings)) == settings.items(before)


def test_of_what_is_skipped_there_is_no_text(tmp_path):
    root = raw_data().write(tmp_path / "raw")
    write_transcripts(root, {FIRST: "one", f"{VAL}_sentence40": "two"})
    data = Sequences(run_stage(tmp_path / "some", root, skip=[FIRST]).out)
    assert data.transcripts == {f"{VAL}_sentence40": "two"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"nobody_s1": "hello"}', "has a text of nobody_s1, which the data do not have; check the spelling"),
        (json.dumps(dict.fromkeys("edcba", "")), "has a text of a, b, c and 2 more, which the data do not have"),
        ('["hello"]', "must be a table of id and text"),
        (f'{{"{FIRST}": 7}}', "must be a table of id and text"),
        ("{", "cannot be read as JSON"),
        ("version https://git-lfs.github.com/spec/v1\n", "cannot be read as JSON"),
    ],
)
def test_texts_that_are_not_of_the_data_are_refused(tmp_path, content, sentence):
    root = raw_data().write(tmp_path / "raw")
    (root / TRANSCRIPTS).write_text(content)
    with pytest.raises(DataError) as caught:
        run_stage(tmp_path / "job", root)
    assert str(caught.value).startswith(str(root / TRANSCRIPTS))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "job" / "out").iterdir())  # before anything is made


def test_texts_of_biwi_may_be_those_of_sentences_that_are_not_taken(tmp_path):
    root = biwi_data(sentences=("e01", "01")).write(tmp_path / "raw")
    write_transcripts(root, {"F2_e01": "hello", "F2_01": "hello too"})
    assert Sequences(run_biwi(tmp_path / "job", root).out).transcripts == {"F2_e01": "hello"}
    settings = biwi.Settings(str(root))
    before = digests(settings)
    write_transcripts(root, {"F2_e01": "good bye"})
    assert digests(settings) != before
    assert settings.items(digests(settings)) == settings.items(before)


def test_texts_beside_mead(tmp_path):
    root = write_ready(tmp_path / "raw")
    write_transcripts(root, {"M003_001_0_0": "hello", "W009_028_6_1": "there"})
    assert Sequences(run_mead(tmp_path / "all", root).out).transcripts["W009_028_6_1"] == "there"
    happy = Sequences(run_mead(tmp_path / "neutral", root, emotions=["neutral"]).out)
    assert happy.transcripts == {"M003_001_0_0": "hello"}
    settings = mead.Settings(str(root))
    before = digests(settings)
    write_transcripts(root, {"M003_001_0_0": "good bye"})
    assert digests(settings) != before
    assert settings.items(digests(settings)) == settings.items(before)


def test_ones_own_texts_in_a_table_and_beside_the_sound(tmp_path):
    folder = describe(write(tmp_path / "raw", "npy", People()), "npy")
    sounds = sorted(path for path in folder.rglob("*.wav") if path.stem == "anna_s1")
    write_transcripts(folder, {"anna_s1": "from the table", "bob_s2": "grüß dich"})
    before = digests(own.Settings(str(folder)))
    sounds[0].with_suffix(".txt").write_text("from beside\nthe sound\n", encoding="utf-8")
    sounds[0].with_name("notes.txt").write_text("of nothing")
    data = run_own(folder, tmp_path / "job")
    assert data.transcripts == {"anna_s1": "from beside the sound", "bob_s2": "grüß dich"}
    settings = own.Settings(str(folder))
    assert digests(settings).keys() - before.keys() == {"the words of anna_s1"}
    assert settings.items(digests(settings)) == settings.items(before)


def test_a_text_that_is_none_is_refused(tmp_path):
    folder = describe(write(tmp_path / "raw", "npy", People()), "npy")
    sound = next(folder.rglob("anna_s1.wav"))
    sound.with_suffix(".txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"anna_s1\.txt cannot be read as text: .*; write it in UTF-8"):
        run_own(folder, tmp_path / "job")


def test_vocasets_sentences_as_guidance_lays_them(tmp_path):
    root = raw_data().write(tmp_path / "raw")
    settings = vocaset.Settings(str(root))
    before = digests(settings)
    (root / "sentencestext").mkdir()
    (root / "sentencestext" / f"{TRAIN}.txt").write_text("She had\tyour suit\n\nDon't ask me\n")
    assert Sequences(run_stage(tmp_path / "some", root).out).transcripts[FIRST] == "She had your suit"
    assert published_transcripts.read_vocaset(root, [f"{TRAIN}_sentence02", f"{TRAIN}_sentence03", "x_y"]) == {
        f"{TRAIN}_sentence02": "Don't ask me"
    }
    assert settings.items(digests(settings)) == settings.items(before)
    assert digests(settings) != before
    write_transcripts(root, {FIRST: "my own"})
    assert Sequences(run_stage(tmp_path / "own", root).out).transcripts[FIRST] == "my own"


def test_biwis_sentences_as_guidance_lays_them(tmp_path):
    root = biwi_data(sentences=("e01", "01")).write(tmp_path / "raw")
    (root / "sentences.txt").write_text("1. Carry it. Now\n2. Why not\n\n")
    settings = biwi.Settings(str(root))
    found = Sequences(run_biwi(tmp_path / "job", root).out).transcripts
    assert found
    assert set(found.values()) == {"Carry it. Now"}
    ids = ["F2_e02", "F2_02", "F2_42", "F2_e03", "odd"]
    assert published_transcripts.read_biwi(root, ids) == dict.fromkeys(ids[:3], "Why not")
    before = digests(settings)
    (root / "sentences.txt").write_text("1. Another\n")
    assert digests(settings) != before
    assert settings.items(digests(settings)) == settings.items(before)


def test_a_line_of_biwis_sentences_without_its_number_is_refused(tmp_path):
    (tmp_path / "sentences.txt").write_text("1. Good\nbad\n")
    with pytest.raises(DataError, match=r"line 2 .'bad'., must be a number, a full stop"):
        published_transcripts.read_biwi(tmp_path, ["F2_e01"])
