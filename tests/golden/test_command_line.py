"""`python -m tests.golden`: a line per case whatever the files hold, complaints elsewhere, never a traceback."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike

from tests.golden.__main__ import main

CASES = Path(__file__).parent / "cases"
GOOD = "faceformer_masks_and_positions"
FACTS = {"model": "FaceFormer", "tolerance": 1e-4}


def arrays(name: str = "out/slopes_1_heads", array: ArrayLike = (2.0**-8,)) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return zipped(f"{name}.npy", file.getvalue())


def zipped(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


def facts(**more: object) -> bytes:
    return json.dumps({**FACTS, **more}).encode()


UNREADABLE = {
    "not UTF-8": (b'{"model": "FaceFormer\xff", "tolerance": 1}', arrays()),
    "not UTF-8, alone": (b"\xff\xfe\xfa", None),
    "not JSON": (b'{"model": "FaceFormer"', arrays()),
    "empty": (b"", arrays()),
    "nested without end": (b"[" * 100_000, arrays()),
    "a list": (b'[{"model": "FaceFormer"}]', arrays()),
    "a list, alone": (b'[{"model": "FaceFormer"}]', None),
    "a number": (b"3", arrays()),
    "no model": (b'{"tolerance": 1}', arrays()),
    "a model that is no word": (facts(model=["FaceFormer"]), arrays()),
    "no tolerance": (b'{"model": "FaceFormer"}', arrays()),
    "a tolerance in words": (facts(tolerance="small"), arrays()),
    "tolerance NaN": (b'{"model": "FaceFormer", "tolerance": NaN}', arrays()),
    "config is a list": (facts(config=[1]), arrays()),
    "no arrays": (facts(), None),
    "arrays that are none": (facts(), b"not a zip file"),
    "arrays that stop": (facts(), arrays()[:100]),
    "no file of arrays": (facts(), zipped("out/x", b"words")),
    "arrays of objects": (facts(), arrays(array=np.array([None]))),
}


def copy_good(folder: Path) -> None:
    for suffix in (".json", ".npz"):
        (folder / f"z_good{suffix}").write_bytes((CASES / f"{GOOD}{suffix}").read_bytes())


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_case_that_cannot_be_read_is_a_miss_and_the_next_one_runs(tmp_path, capsys, what):
    text, stored = UNREADABLE[what]
    (tmp_path / "case.json").write_bytes(text)
    if stored is not None:
        (tmp_path / "case.npz").write_bytes(stored)
    copy_good(tmp_path)
    assert main([str(tmp_path)]) == 1
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0] == "case miss nan nan"
    assert [line.split()[:2] for line in lines[1:]] == [["z_good", "ok"]]
    assert said.err.startswith("  case: ")
    assert "Traceback" not in said.err


@pytest.mark.parametrize("stored", [None, b"broken", arrays()], ids=["no arrays", "broken arrays", "arrays"])
@pytest.mark.parametrize(("tolerance", "shown"), [(1e-4, "0.0001"), (None, "nan"), ("small", "nan")])
def test_a_model_that_nobody_knows(tmp_path, capsys, stored, tolerance, shown):
    (tmp_path / "other.json").write_bytes(facts(model="NoSuchModel", tolerance=tolerance))
    if stored is not None:
        (tmp_path / "other.npz").write_bytes(stored)
    assert main([str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert said.out == f"other unknown nan {shown}\n"
    assert said.err == "  other: no runner for model 'NoSuchModel'\n"


def test_a_case_without_outputs_is_a_miss(tmp_path, capsys):
    (tmp_path / "bare.json").write_bytes(facts())
    (tmp_path / "bare.npz").write_bytes(arrays("in/audio"))
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out == "bare miss nan 0.0001\n"


def test_what_has_nothing_of_a_case_is_left_out(tmp_path, capsys):
    copy_good(tmp_path)
    (tmp_path / "readme.json").write_text("{}")
    (tmp_path / "folder.json").mkdir()
    assert main([str(tmp_path)]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["z_good"]


def test_folders_without_cases_are_a_sentence(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "good").mkdir()
    copy_good(tmp_path / "good")
    for arguments, status, sentence in (
        ([], 2, "no folder given; usage: python -m tests.golden DIR…"),
        (["absent"], 2, f"no such folder: {tmp_path / 'absent'}"),
        (["empty"], 1, f"no case in {tmp_path / 'empty'}: "),
        (["empty", "good"], 1, f"no case in {tmp_path / 'empty'}: "),
    ):
        assert main([str(tmp_path / name) for name in arguments]) == status
        said = capsys.readouterr()
        assert said.err.startswith(sentence)
        assert said.err.count("\n") == 1
        assert said.out.count("\n") == arguments.count("good")


def test_as_a_program(tmp_path):
    """A process of its own: exit status and both streams as a shell sees them."""
    (tmp_path / "bad.json").write_bytes(b"\xff")
    command = [sys.executable, "-m", "tests.golden", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert (done.returncode, done.stdout) == (1, "bad miss nan nan\n")
    assert "Traceback" not in done.stderr
