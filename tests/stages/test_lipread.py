"""The stage lipread: what an expert reads off predicted and true lips, and what each reading hangs on."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cache.manifest import Manifest
from faces.errors import DataError
from pipeline.errors import RecipeError, StageError
from pipeline.stage import Given, Upstream
from stages.kinds.checkpoint import Checkpoint
from stages.kinds.predictions import Predictions
from stages.kinds.readings import Reading, Readings, digest_of
from stages.kinds.sequences import Sequences, write_region, write_transcripts
from stages.lipread import DATA, LipRead, Params
from stages.sight import sight_of
from tests.stages.fake_job import FakeJob
from tests.stages.mouths import (
    LIPS,
    SMALL,
    SPLITS,
    TEXTS,
    make_faces,
    make_predictions,
    motion,
    read_lips,
    train_reader,
)
from tests.stages.train_runs import run as train_face
from tests.threads import one_thread

__all__ = ["one_thread"]

BOTH = replace(SMALL, modality="audio-visual")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("inputs")
    data = make_faces(root / "d")
    readers = {
        name: train_reader(root / name, data, settings, epochs=3, lr=3e-3).out
        for name, settings in (("video", SMALL), ("both", BOTH))
    }
    return {"data": data, "predictions": make_predictions(root / "p", data)} | readers


def given(inputs: dict[str, Path], expert: str = "video") -> dict[str, Path]:
    return {"data": inputs["data"], "predictions": inputs["predictions"], "expert": inputs[expert]}


def test_every_motion_is_read(inputs, tmp_path) -> None:
    job = read_lips(tmp_path, given(inputs))
    found, made, data = Readings(job.out), Predictions(inputs["predictions"]), Sequences(inputs["data"])
    assert (found.info.modality, found.info.beam, found.info.ctc_weight) == ("video", 2, 0.1)
    assert list(found.info.predictions) == sorted(made.items)
    assert list(found.info.truth) == ["C_s1", "C_s2"]
    network: Any = Checkpoint(inputs["video"]).load_network()
    network.watch(sight_of(data))
    for name, item in made.items.items():
        shown = torch.from_numpy(np.array(made.motion(name)).reshape(item.frames, -1))
        said = {"C_s1": "A BEE", "C_s2": "EBB ABBE"}[item.id]
        assert found.text(name) == Reading(said, network.read(shown, None, beam=2), digest_of(made.file(name)))
        shown = torch.from_numpy(np.array(data.vertices(item.id)).reshape(data.entry(item.id).frames, -1))
        true = Reading(said, network.read(shown, None, beam=2), digest_of(data.vertex_file(item.id)))
        assert found.truth(item.id) == true
    assert found.text("D_s1_condition_A") is None
    assert found.truth("A_s1") is None
    assert set(job.done["C_s1"]) == {
        job.out / "truth" / "C_s1.json", *(job.out / "text" / f"C_s1_condition_{style}.json" for style in "AB")
    }  # fmt: skip
    assert [line.partition(":")[0] for line in job.said] == ["predicted lips", "true lips"]
    assert all("% of the letters wrong" in line for line in job.said)


def test_two_runs_give_equal_bytes(inputs, tmp_path) -> None:
    first, second = (read_lips(tmp_path / name, given(inputs, "both")) for name in "ab")
    files = sorted(file.relative_to(first.out) for file in first.out.rglob("*.json"))
    assert len(files) == 4 + 2 + 1
    for file in files:
        assert (first.out / file).read_bytes() == (second.out / file).read_bytes()


def test_who_read_is_told_by_weights_and_by_what_they_are_shown(inputs, tmp_path) -> None:
    """The same weights before darker or larger mouths read otherwise; a copy elsewhere is the same expert."""
    found = {"own": Readings(read_lips(tmp_path / "own", given(inputs)).out).info.expert}
    changes: dict[str, dict[str, Any]] = {"copy": {}, "grey": {"pixel_std": 0.4}}
    for name, change in changes.items():
        expert = tmp_path / f"{name}-expert"
        shutil.copytree(inputs["video"], expert)
        config = json.loads((expert / "config.json").read_text())
        config["settings"] |= change
        (expert / "config.json").write_text(json.dumps(config))
        found[name] = Readings(read_lips(tmp_path / name, given(inputs) | {"expert": expert}).out).info.expert
    found["weights"] = Readings(read_lips(tmp_path / "weights", given(inputs, "both")).out).info.expert
    assert found["copy"] == found["own"]
    assert len({*found.values()}) == 3


def test_how_it_reads(inputs, tmp_path) -> None:
    """Greedily, without the truth, without sound; the sound does reach one that hears."""
    network: Any = Checkpoint(inputs["both"]).load_network()
    network.watch(sight_of(Sequences(inputs["data"])))
    shown = torch.from_numpy(motion("C", "s1", 12).reshape(12, -1))
    wave = torch.randn(6400, generator=torch.Generator().manual_seed(0))
    greedy = Readings(read_lips(tmp_path / "g", given(inputs, "both"), beam=0, truth=False, silent=True).out)
    assert (greedy.info.modality, greedy.info.beam, list(greedy.info.truth)) == ("silent", 0, [])
    made = Predictions(inputs["predictions"])
    for name, item in made.items.items():
        positions = torch.from_numpy(np.array(made.motion(name)).reshape(item.frames, -1))
        assert greedy.text(name).read == network.read(positions, torch.zeros(0), beam=0)  # type: ignore[union-attr]
    with torch.no_grad():
        pictures = network.mouth.pictures(shown)[None]
        from models.lipreader.inputs import prepare_audio

        heard, mute = (network.encode(pictures, prepare_audio(x, 10)[None]) for x in (wave, torch.zeros(0)))
    assert not torch.allclose(heard, mute)
    assert Readings(read_lips(tmp_path / "h", given(inputs, "both")).out).info.modality == "audio-visual"


def test_a_transcript_without_letters_is_nothing_said(inputs, tmp_path) -> None:
    data = make_faces(tmp_path / "d", texts={"C_s1": "42"})
    found = Readings(read_lips(tmp_path / "r", given(inputs) | {"data": data}).out)
    assert found.text("C_s1_condition_A").said == ""  # type: ignore[union-attr]


def test_only_some_splits(inputs, tmp_path) -> None:
    with pytest.raises(StageError, match=r"holds no prediction of val \(it holds: test\)"):
        read_lips(tmp_path / "a", given(inputs), splits=["val"])
    assert len(Readings(read_lips(tmp_path / "b", given(inputs), splits=["test"]).out).info.predictions) == 4


def refused(folder: Path, given: dict[str, Path], **params: Any) -> str:
    with pytest.raises((DataError, StageError)) as caught:
        read_lips(folder, given, **params)
    assert not list((folder / "out").rglob("*.json"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_read(inputs, tmp_path) -> None:
    mute = make_faces(tmp_path / "d", texts={"C_s2": None})
    assert f"{mute} has no transcript of C_s2" in refused(tmp_path / "1", given(inputs) | {"data": mute})
    assert "this expert hears nothing anyway" in refused(tmp_path / "2", given(inputs), silent=True)
    blind = make_faces(tmp_path / "e", lips=False)
    assert "has no region 'lips'" in refused(tmp_path / "3", given(inputs) | {"data": blind})
    slow = make_faces(tmp_path / "f", fps=25.0)
    assert "run infer on these" in refused(tmp_path / "4", given(inputs) | {"data": slow})
    silent = make_faces(tmp_path / "g", sound=False)
    assert "C_s1.wav is not there" in refused(tmp_path / "5", given(inputs, "both") | {"data": silent})


def test_a_face_is_no_expert(inputs, tmp_path) -> None:
    from pipeline.stage import Input
    from stages.features import ExtractFeatures
    from stages.features import Params as FeatureParams

    features = FakeJob.under(tmp_path / "f", {"data": inputs["data"]})
    ExtractFeatures(FeatureParams(encoder="log-mel")).run(features)
    wired = {
        "data": Input(inputs["data"], "sequences", "d", {}),
        "features": Input(features.out, "features", "f", {"encoder": "log-mel"}),
    }
    face = train_face(FakeJob.under(tmp_path / "t", wired), epochs=1)
    said = refused(tmp_path / "r", given(inputs) | {"expert": face.path})
    assert "which reads no lips: give the step that trains a lipreader" in said


def test_what_is_refused_before_anything_is_trained() -> None:
    def components(params: Params, **values: Any) -> list[str]:
        return list(LipRead(params).components({"expert": Upstream("reader", "e", values)}))

    assert components(Params(), model="lipreader") == ["models.lipreader"]
    assert components(Params(silent=True), model="lipreader", modality="audio-visual") == ["models.lipreader"]
    for face in ("faceformer", "recogniser", "avguidance", "codetalker-vq"):
        with pytest.raises(RecipeError, match=rf"must read lips, and step 'reader' trains '{face}': give a step that"):
            components(Params(), model=face)
    with pytest.raises(RecipeError, match="silent = true, and the expert of step 'reader' hears nothing: leave silent"):
        components(Params(silent=True), model="lipreader", modality="video")


def items(folder: Path, predictions: Path, expert: str = "e") -> dict[str, str]:
    """Id → all that its reading depends on, with files as they are."""
    found = LipRead(Params()).items(
        {
            "data": _given(folder, DATA),
            "predictions": _given(predictions),
            "expert": Given(folder, {"model.safetensors": expert}, lambda: Manifest({})),
        },
        {},
    )
    assert found.each is not None
    return {name: json.dumps([facts, found.shared]) for name, facts in found.each.items()}


def _given(folder: Path, uses: tuple[str, ...] = ()) -> Given:
    files = {
        str(path.relative_to(folder)): (1, path.read_bytes().hex()) for path in folder.rglob("*") if path.is_file()
    }
    return Given(folder, {}, lambda: Manifest(files))


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before | after if before.get(name) != after.get(name)}


def test_what_a_reading_hangs_on(tmp_path) -> None:
    """A sentence more, also of a newcomer, is that sentence's work; the mesh, the lips and the mean face are all's."""
    data = make_faces(tmp_path / "d")
    made = make_predictions(tmp_path / "p", data)
    before, all_of_them = items(data, made), {"C_s1", "C_s2"}
    assert before.keys() == all_of_them

    more = make_faces(tmp_path / "more", splits=SPLITS | {"D_s1": "test"})
    wider = make_predictions(tmp_path / "wider", more)
    assert changed(before, items(more, wider)) == {"D_s1"}

    texts = {name: TEXTS[name[2:]] for name in SPLITS}
    write_transcripts(data, texts | {"C_s1": "another", "A_s1": "of a training sentence"})
    assert changed(before, items(data, made)) == {"C_s1"}
    write_transcripts(data, texts)
    (data / "wav" / "C_s2.wav").write_bytes(b"other sound")
    assert changed(before, items(data, made)) == {"C_s2"}
    before = items(data, made)
    (made / "npy" / "C_s1_condition_B.npy").write_bytes(b"other motion")
    assert changed(before, items(data, made)) == {"C_s1"}
    before = items(data, made)
    (data / "vertices_npy" / "A_s1.npy").write_bytes(b"motion of a training sentence")
    assert not changed(before, items(data, made))
    write_region(data, "upper_face", range(3))
    assert not changed(before, items(data, made))

    write_region(data, "lips", LIPS[:-1])
    assert changed(before, items(data, made)) == all_of_them
    write_region(data, "lips", LIPS)
    assert not changed(before, items(data, made))
    assert changed(before, items(data, made, expert="other")) == all_of_them
    with (data / "topology.ply").open("ab") as stream:
        stream.write(b"\n")
    assert changed(before, items(data, made)) == all_of_them


def test_damaged_readings(inputs, tmp_path) -> None:
    job = read_lips(tmp_path, given(inputs))
    file = job.out / "text" / "C_s1_condition_A.json"
    file.write_text('{"said": "a"}')
    with pytest.raises(DataError, match=r"C_s1_condition_A\.json is not what an expert read .*make it again with lip"):
        Readings(job.out).text("C_s1_condition_A")
    file.unlink()
    with pytest.raises(DataError, match="make it again with lipread"):
        Readings(job.out).text("C_s1_condition_A")
    (job.out / "readings.json").write_text("[]")
    with pytest.raises(DataError, match=r"readings\.json is not an index of readings"):
        _ = Readings(job.out).info
