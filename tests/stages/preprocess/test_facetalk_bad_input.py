"""FaceTalk's folders: strict about frames, lenient about names, and nothing runs code."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from faces.errors import DataError
from faces.ply import write_ply
from stages.kinds.sequences import Sequences
from stages.preprocess.facetalk.features import read_features
from tests.stages.preprocess.facetalk_files import (
    FACES,
    IDS,
    TEMPLATE,
    expressions,
    meshes,
    refuse,
    run_facetalk,
    write_facetalk,
)


def test_gaps_are_refused_all_at_once(tmp_path: Path) -> None:
    root = write_facetalk(tmp_path / "data")
    (meshes(root) / "frame_10.ply").unlink()
    (expressions(root, IDS[3]) / "frame_9.npz").unlink()
    (expressions(root, IDS[3]) / "frame_10.npz").unlink()
    match = (
        f"{IDS[0]}: FLAME meshes 10 missing; {IDS[3]}: expression codes 9-10 missing: restore what is missing, or "
        rf'leave them out with skip = \["{IDS[0]}", "{IDS[3]}"\]'
    )
    refuse(tmp_path, root, match)
    assert Sequences(run_facetalk(tmp_path / "rest", root, skip=[IDS[0], IDS[3]]).out).ids() == [IDS[1], IDS[2]]


def test_meshes_and_codes_must_be_of_the_same_frames(tmp_path: Path) -> None:
    root = write_facetalk(tmp_path / "data")
    (expressions(root) / "frame_12.npz").unlink()
    refuse(tmp_path, root, "FLAME meshes are of frames 8-12, expression codes of 8-11: restore what is missing")


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"a": np.ones(6), "b": np.ones(6)}, r"holds 2 arrays \(a, b\), not the one of an expression code"),
        ({"a": np.array(["x"])}, r"a, is <U1 \(1,\), not the numbers"),
        ({"a": np.ones(7)}, "holds 7 numbers, the first frame 6"),
        ({"a": np.full(6, np.nan)}, "NaN or infinite"),
        ({"a": np.zeros(5000)}, r"a, is float64 \(5000,\), not the numbers"),
    ],
)
def test_codes_of_another_form(tmp_path: Path, arrays: dict[str, np.ndarray], match: str) -> None:
    root = write_facetalk(tmp_path / "data")
    np.savez(expressions(root) / "frame_9.npz", **arrays)
    refuse(tmp_path, root, r"frame_9\.npz.*" + match)


def test_meshes_of_another_topology(tmp_path: Path) -> None:
    root = write_facetalk(tmp_path / "data")
    write_ply(meshes(root) / "frame_9.ply", TEMPLATE, FACES[:, [1, 2, 0]])
    refuse(tmp_path / "a", root, r"frame_9\.ply is not of the topology of the sequence's template; repair it or leave")
    write_ply(root / IDS[1] / "flame_2023_tracking" / "flame_2023_template.ply", TEMPLATE, FACES[:2])
    refuse(tmp_path / "b", root, r"SEN-09-frown/.*template\.ply has other triangles than .*SEN-01-cramp_small_danger/")


def test_sequences_that_cannot_be_used_are_skipped(tmp_path: Path) -> None:
    root = write_facetalk(tmp_path / "data")
    (root / IDS[0] / "audio" / "cleaned_audio.wav").unlink()
    (root / IDS[1] / "flame_2023_tracking" / "flame_2023_template.ply").unlink()
    meshes(root, IDS[2]).rename(tmp_path / "away")
    read = Sequences(run_facetalk(tmp_path / "job", root).out)
    assert read.info.skipped == {
        IDS[0]: "no sound",
        IDS[1]: "no template in its folder",
        IDS[2]: "no FLAME meshes",
    }


def test_nothing_to_read(tmp_path: Path) -> None:
    refuse(tmp_path / "a", tmp_path / "absent", "absent holds no sequence of FaceTalk's; give the folder that holds")
    root = write_facetalk(tmp_path / "data")
    for name in IDS:
        write_ply(root / name / "flame_2023_tracking" / "flame_2023_template.ply", TEMPLATE * 30, FACES)
    refuse(tmp_path / "b", root, "heads 7.5 high are not in m, mm or NPHM's units; name theirs with units")
    for name in IDS:
        (root / name / "flame_2023_tracking" / "flame_2023_template.ply").unlink()
    refuse(tmp_path / "c", root, r"no sequence has a flame_2023_tracking/flame_2023_template\.ply")


class RunsCode:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("ran",)


class LoadsBytes:
    """A storage that is a pickle itself, as `torch.load` without `weights_only` would run it."""

    def __reduce__(self) -> tuple:
        stream = io.BytesIO()
        torch.save({"a": RunsCode()}, stream)
        return torch.storage._load_from_bytes, (stream.getvalue(),)


@pytest.mark.parametrize(
    "thing",
    [
        RunsCode(),
        LoadsBytes(),
        {"a": np.ones(3)},
        np.ones((2, 3, 4)),
        np.ones((3, 4), int),
        np.full((3, 4), np.inf),
        [[1.0], [1.0, 2.0]],
        np.full((3, 4), 1e300),
    ],
)
def test_features_that_are_refused(tmp_path: Path, thing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "wave2vec_audio_feats.pkl"
    file.write_bytes(pickle.dumps(thing))
    with pytest.raises(DataError, match=r"wave2vec_audio_feats\.pkl"):
        read_features(file)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("size", [(1, 9, 768), (1, 5, 10**12)])
def test_a_tensor_larger_than_its_storage(tmp_path: Path, size: tuple[int, ...]) -> None:
    """torch would make room for it."""

    class Larger:
        def __reduce__(self) -> tuple:
            whole = torch.zeros(1, 5, 768).untyped_storage()
            storage = torch.storage.TypedStorage(wrap_storage=whole, dtype=torch.float32, _internal=True)
            return torch._utils._rebuild_tensor_v2, (storage, 0, size, (5 * 768, 768, 1), False, None)

    (tmp_path / "feats.pkl").write_bytes(pickle.dumps(Larger()))
    with pytest.raises(DataError, match=r"feats\.pkl is a damaged pickle"):
        read_features(tmp_path / "feats.pkl")


def test_features_are_not_opened_unless_asked_for(tmp_path: Path) -> None:
    root = write_facetalk(tmp_path / "data")
    for name in IDS:
        (root / name / "audio" / "wave2vec_audio_feats.pkl").write_bytes(pickle.dumps(RunsCode()))
    assert len(Sequences(run_facetalk(tmp_path / "one", root).out).ids()) == 4
    refuse(tmp_path, root, "is refused: it asks for posix.mkdir", audio_features=True)


def test_a_tensor_may_not_come_in_an_archive(tmp_path: Path) -> None:
    """Which could unpack to a thousand times its size."""

    class Packed:
        def __reduce__(self) -> tuple:
            stream = io.BytesIO()
            torch.save(torch.zeros(1, 5, 768).numpy().tobytes(), stream)
            return torch.storage._load_from_bytes, (stream.getvalue(),)

    (tmp_path / "feats.pkl").write_bytes(pickle.dumps(Packed()))
    with pytest.raises(DataError, match="a tensor in an archive"):
        read_features(tmp_path / "feats.pkl")
    (tmp_path / "feats.pkl").write_bytes(pickle.dumps(torch.zeros(1, 5, 8)))
    assert read_features(tmp_path / "feats.pkl").shape == (5, 8)
