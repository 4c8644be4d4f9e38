"""Through the engine, in processes of their own: one that is killed in the middle costs what it was at, no more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stages.preprocess.sound import Clip, write_wav
from tests.stages.preprocess.biwi_files import biwi_data, run_biwi
from tests.stages.preprocess.raw_files import RATE, TRAIN, raw_data, run_stage
from tests.stages.preprocess.test_biwi_packed import pack
from tests.stages.preprocess.test_vocaset_ready import write_ready

REPOSITORY = Path(__file__).parents[3]
THREADS = 2
CHILD = """
import os, signal, sys, threading
from stages.preprocess import prepare

real, begun, last, lock = prepare._write_sequence, [], int(sys.argv[1]), threading.Lock()

def watched(out, key, *rest):
    with lock:
        begun.append(key)
        with open("begun.txt", "a") as file:
            file.write(key + "\\n")
        if len(begun) == last:
            (out / "vertices_npy" / f"{key}.npy").write_bytes(b"half a file")
            os.kill(os.getpid(), signal.SIGKILL)
    return real(out, key, *rest)

prepare._write_sequence = watched
from pipeline.__main__ import main
main(["stage", "preprocess", *sys.argv[2:]])
"""


def go(here: Path, *words: str, kill_at: int = 0) -> list[str]:
    """`pipe stage preprocess` in a workspace; gives the sequences that it began to make."""
    (here / "begun.txt").write_text("")
    env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", CHILD, str(kill_at), *words, "--jobs", str(THREADS)]
    done = subprocess.run(command, cwd=here, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == (-signal.SIGKILL if kill_at else 0), done.stderr
    return (here / "begun.txt").read_text().split()


def same_files(one: Path, two: Path) -> bool:
    files = sorted(file.relative_to(one) for file in one.rglob("*") if file.is_file())
    assert len(files) > 20
    return all((one / file).read_bytes() == (two / file).read_bytes() for file in files)


@pytest.mark.parametrize("layout", ["biwi", "vocaset"])
def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, layout: str) -> None:
    here, root = tmp_path / "here", tmp_path / "raw"
    here.mkdir()
    if layout == "biwi":
        plain = run_biwi(tmp_path / "plain", pack(biwi_data().write(root), ".tar.gz"))
        words = ("--dataset", "biwi", "--root", str(root), "--fps", "25")
    else:
        plain = run_stage(tmp_path / "plain", raw_data().write(root))
        words = ("--dataset", "vocaset", "--root", str(root))
    first = go(here, *words, kill_at=6)
    second = go(here, *words)
    assert len(first) == 6
    assert set(first) | set(second) == {file.stem for file in (plain.out / "wav").iterdir()}
    assert len(set(first) & set(second)) <= THREADS
    assert len(second) <= 9 - 6 + THREADS
    assert same_files(plain.out, here / "outputs" / "stage" / "preprocess")


def test_one_changed_sentence_of_a_ready_folder_is_made_alone(tmp_path: Path) -> None:
    here, root = tmp_path / "here", write_ready(tmp_path / "ready", raw_data())
    here.mkdir()
    words = ("--dataset", "vocaset", "--root", str(root))
    assert len(go(here, *words)) == 9
    write_wav(root / "wav" / f"{TRAIN}_sentence21.wav", Clip(np.full(RATE // 6, 9, np.int16), RATE))
    frames = np.load(root / "vertices_npy" / f"{TRAIN}_sentence40.npy")
    np.save(root / "vertices_npy" / f"{TRAIN}_sentence40.npy", 2 * frames)
    assert sorted(go(here, *words)) == [f"{TRAIN}_sentence21", f"{TRAIN}_sentence40"]
    (root / "FLAME_sample.ply").touch()
    assert go(here, *words) == []
