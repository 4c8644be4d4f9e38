"""The stage lipsync: scores of predicted and true faces, of meshes and of surfaces, and what each score hangs on."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from cache.manifest import Manifest
from faces.errors import DataError
from models.syncnet.distances import synchrony
from models.syncnet.file import read_syncnet
from models.syncnet.mfcc import mfcc
from models.syncnet.timing import moments
from pipeline.errors import RecipeError, StageError
from pipeline.stage import Given, Upstream
from stages.audio import speech
from stages.kinds.predictions import Predictions
from stages.kinds.readings import digest_of
from stages.kinds.sequences import Sequences, write_region
from stages.kinds.surfaces import Surfaces, mesh_file, write_index
from stages.kinds.synchrony import Score, Synchronies
from stages.lipsync import LipSync, Params
from stages.lipsync.pictures import Studio
from tests.models.syncnet.narrow import write_narrow
from tests.stages import talking_spheres
from tests.stages.fake_job import FakeJob
from tests.stages.metrics_runs import change_item
from tests.stages.mouths import LIPS, SPLITS, make_faces, make_predictions, template
from tests.stages.surface_runs import make_surfaces
from tests.threads import one_thread

__all__ = ["one_thread"]
FRAMES = 24
"""At 30 a second, so that there are 20 pictures and 15 windows, or some more."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("inputs")
    data = make_faces(root / "d", frames=FRAMES)
    return {"data": data, "predictions": make_predictions(root / "p", data)}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_narrow(tmp_path_factory.mktemp("weights") / "syncnet_v2.model")


@pytest.fixture(scope="module")
def scored(inputs: dict[str, Path], weights: Path, tmp_path_factory: pytest.TempPathFactory) -> FakeJob:
    return run(tmp_path_factory.mktemp("run"), inputs, weights)


def run(folder: Path, inputs: dict[str, Path], weights: Path, **params: Any) -> FakeJob:
    job = FakeJob.under(folder, inputs)
    LipSync(Params(weights=str(weights), **params)).run(job)
    return job


def by_hand(weights: Path, pictures: Any, sound: Path, count: int) -> Any:
    network = read_syncnet(weights)
    return synchrony(network.look(pictures), network.hear(mfcc(speech(sound)), count))


def test_every_motion_is_scored(inputs: dict[str, Path], weights: Path, scored: FakeJob) -> None:
    found, made, data = Synchronies(scored.out), Predictions(inputs["predictions"]), Sequences(inputs["data"])
    assert list(found.info.predictions) == sorted(made.items)
    assert list(found.info.truth) == ["C_s1", "C_s2"]
    assert (found.info.scorer, found.info.of, found.info.model) == (digest_of(weights), "vertices", "halfway")
    studio = Studio.of(data, coloured=True)
    for name, item in made.items.items():
        score = found.predicted(name)
        assert score is not None
        count = min(round(item.frames * 25 / 30), int(data.entry(item.id).samples // 640)) - 5
        assert (score.windows, score.frames, score.motion) == (count, item.frames, digest_of(made.file(name)))
        assert count >= 14
        told = by_hand(weights, studio.of_motion(made.motion(name), "C", name, count + 4), data.wav(item.id), count)
        assert (score.lse_d, score.lse_c, score.offset) == (told.distance, told.confidence, told.offset)
        assert score.offset_ms == 40 * told.offset
        assert tuple(score.distances) == told.means
    true = found.truth("C_s1")
    assert true is not None
    assert true.motion == digest_of(data.vertex_file("C_s1"))
    assert true.lse_d != found.predicted("C_s1_condition_A").lse_d  # type: ignore[union-attr]
    assert found.predicted("D_s1_condition_A") is None
    assert found.truth("A_s1") is None


def test_a_face_that_never_moves(inputs: dict[str, Path], weights: Path, scored: FakeJob) -> None:
    """As if its neutral face were the motion: nothing that such a number may be taken for skill."""
    found, data = Synchronies(scored.out), Sequences(inputs["data"])
    assert list(found.info.neutral) == ["C_s1", "C_s2"]
    still = found.neutral("C_s1")
    assert still is not None
    motion = np.repeat(template("C")[None], FRAMES + 1, axis=0)
    shown = Studio.of(data, coloured=True).of_motion(motion, "C", "C_s1", still.windows + 4)
    told = by_hand(weights, shown, data.wav("C_s1"), still.windows)
    assert still.lse_d == pytest.approx(told.distance, rel=1e-5)
    assert still.lse_c == pytest.approx(told.confidence, abs=1e-5)


def test_the_means_are_of_sentences(scored: FakeJob) -> None:
    """Each counts once, whatever it was predicted in."""
    found = Synchronies(scored.out)
    means = {}
    for sentence in ("C_s1", "C_s2"):
        both = [found.predicted(f"{sentence}_condition_{style}") for style in "AB"]
        means[sentence] = np.mean([score.lse_d for score in both if score is not None and score.lse_d is not None])
    assert found.info.means["predicted"].lse_d == pytest.approx(np.mean(list(means.values())))
    assert found.info.means["predicted"].sequences == 2
    true = [found.truth(name) for name in ("C_s1", "C_s2")]
    assert found.info.means["truth"].lse_c == pytest.approx(np.mean([one.lse_c for one in true]))  # type: ignore[union-attr]
    assert [line.partition(":")[0] for line in scored.said] == ["predicted", "truth", "neutral"]
    assert f"LSE-D {found.info.means['truth'].lse_d:.3f}" in scored.said[1]


def test_two_runs_give_equal_bytes(inputs: dict[str, Path], weights: Path, scored: FakeJob, tmp_path: Path) -> None:
    again = run(tmp_path, inputs, weights)
    files = sorted(file.relative_to(again.out) for file in again.out.rglob("*.json"))
    assert len(files) == 4 + 2 + 2 + 1
    for file in files:
        assert (again.out / file).read_bytes() == (scored.out / file).read_bytes()


def test_without_the_truth_and_of_some_splits(inputs: dict[str, Path], weights: Path, tmp_path: Path) -> None:
    found = Synchronies(run(tmp_path / "a", inputs, weights, truth=False, splits=["test"]).out)
    assert (list(found.info.truth), list(found.info.means)) == ([], ["predicted", "neutral"])
    with pytest.raises(StageError, match=r"holds nothing of val \(it holds: test\)"):
        run(tmp_path / "b", inputs, weights, splits=["val"])


def pictures(studio: Studio, motion: np.ndarray, count: int = 8) -> np.ndarray:
    return np.stack(list(studio.of_motion(motion, "C", "C_s1", count)))


def test_what_is_shown(inputs: dict[str, Path]) -> None:
    """A square about the face in the middle, which moves where the lips do, and stays where a head is carried off."""
    data = Sequences(inputs["data"])
    studio, motion = Studio.of(data, coloured=True), np.array(data.vertices("C_s1"))
    shown = pictures(studio, motion)
    assert shown.shape == (8, 224, 224, 3)
    assert shown.dtype == np.uint8
    assert shown.max() > 100
    assert (shown[:, 0, 0] == 0).all(), "what is beside a head is black"
    moved = np.abs(np.diff(shown.astype(int), axis=0)).max(axis=(0, 3))
    rows, columns = np.nonzero(moved > 8)
    assert rows.min() > 60
    assert rows.max() < 190
    assert abs(columns.mean() - 111.5) < 3
    carried = pictures(studio, motion + np.array([0.3, -0.2, 0.1], np.float32))
    assert np.abs(carried.astype(int) - shown).mean() < 1
    still = pictures(studio, np.repeat(template("C")[None], FRAMES, axis=0))
    assert (still == still[0]).all()


def test_pictures_lie_between_frames(inputs: dict[str, Path]) -> None:
    studio = Studio.of(Sequences(inputs["data"]), coloured=True)
    motion = np.array(Sequences(inputs["data"]).vertices("C_s1"))
    shown = pictures(studio, motion, 6)
    one = moments(FRAMES, 30.0)[4]
    assert (one.before, one.after, one.share) == (4, 5, pytest.approx(0.8))
    between = 0.2 * motion[4] + 0.8 * motion[5]
    whole = np.array(motion)
    whole[0] = between
    whole[1:] = motion[5]
    (first, *_) = studio.of_motion(whole, "C", "C_s1", 1)
    assert np.abs(first.astype(int) - shown[4]).mean() < 0.5
    assert np.abs(shown[4].astype(int) - shown[5]).max() > 3


def test_motion_at_25_is_shown_frame_by_frame(tmp_path: Path) -> None:
    studio = Studio.of(Sequences(make_faces(tmp_path / "d", frames=FRAMES, fps=25.0)), coloured=False)
    motion = np.array(studio.data.vertices("C_s1"))
    shown = pictures(studio, motion, FRAMES)
    assert len(shown) == FRAMES
    (last,) = list(studio.of_motion(motion, "C", "C_s1", FRAMES))[-1:]
    np.testing.assert_array_equal(shown[-1], last)


@pytest.fixture
def eggs(tmp_path: Path) -> dict[str, Path]:
    """Surfaces at 24 frames a second, in other triangles each frame."""
    data = talking_spheres.make_data(tmp_path / "data", frames=18, fps=24.0)
    mesh = talking_spheres.MESH.vertices
    write_region(data, "lips", np.flatnonzero((mesh[:, 2] > 0.05) & (abs(mesh[:, 1]) < 0.03)))
    surfaces = make_surfaces(tmp_path / "surfaces", data, frames=4)
    found = Surfaces(surfaces)
    items, made = {}, {}
    for name, item in found.items.items():
        for number in range(4, 18):
            file = mesh_file(surfaces, name, number)
            file.write_bytes(mesh_file(surfaces, name, number % 4).read_bytes())
        items[name] = type(item)(item.id, item.subject, item.condition, item.split, 18)
        facts = found.info.made[name]
        counts = [facts.vertices[number % 4] for number in range(18)]
        made[name] = type(facts)(counts, 1, 1, 1, 0, [0.0] * 18)
    write_index(surfaces, type(found.info)(**vars(found.info) | {"items": items, "made": made}))
    return {"data": data, "surfaces": surfaces}


def test_surfaces(eggs: dict[str, Path], weights: Path, tmp_path: Path) -> None:
    """Frames that are nearest in time, since there is nothing between two meshes of other triangles."""
    found = Synchronies(run(tmp_path / "run", eggs, weights).out)
    surfaces, data = Surfaces(eggs["surfaces"]), Sequences(eggs["data"])
    assert (found.info.of, list(found.info.predictions)) == ("surfaces", sorted(surfaces.items))
    assert list(found.info.truth) == ["B_s1", "B_s2", "C_s1", "C_s2"]
    name, studio = "B_s1_condition_B", Studio.of(data, coloured=False)
    score = found.predicted(name)
    assert score is not None
    assert (score.windows, score.frames) == (18 - 5, 18), "the sound is shorter than 19 pictures"
    told = by_hand(weights, studio.of_surfaces(surfaces, name, score.windows + 4), data.wav("B_s1"), score.windows)
    assert score.lse_d == told.distance
    frames = [one.nearest for one in moments(18, 24.0)]
    shown = list(studio.of_surfaces(surfaces, name, 19))
    assert len(shown) == 19
    equal = [number for number in range(1, 19) if np.array_equal(shown[number], shown[number - 1])]
    assert equal == [number for number in range(1, 19) if frames[number] == frames[number - 1]] != []
    before = score.motion
    mesh_file(eggs["surfaces"], name, 3).write_bytes(mesh_file(eggs["surfaces"], name, 1).read_bytes())
    assert Synchronies(run(tmp_path / "again", eggs, weights).out).predicted(name).motion == before, "equal meshes"  # type: ignore[union-attr]
    mesh_file(eggs["surfaces"], name, 2).unlink()
    with pytest.raises(DataError, match="frame_00002"):
        run(tmp_path / "gone", eggs, weights)


def test_surfaces_of_one_topology_lie_between_frames(eggs: dict[str, Path]) -> None:
    surfaces, data = Surfaces(eggs["surfaces"]), Sequences(eggs["data"])
    name, moved = "B_s1_condition_B", np.array([0.0, 0.02, 0.0], np.float32)
    from faces.ply import write_ply

    first = surfaces.frame(name, 0)
    for number in range(18):
        write_ply(mesh_file(eggs["surfaces"], name, number), first.vertices + number * moved, first.faces)
    counts = [len(first.vertices)] * 18
    made = type(surfaces.info.made[name])(counts, 1, 1, 1, 0, [0.0] * 18)
    facts = vars(surfaces.info) | {
        "topology": "fixed", "items": {name: surfaces.items[name]}, "made": {name: made},
    }  # fmt: skip
    write_index(eggs["surfaces"], type(surfaces.info)(**facts))
    shown = list(Studio.of(data, coloured=False).of_surfaces(Surfaces(eggs["surfaces"]), name, 6))
    tops = [np.nonzero(picture.max(axis=(1, 2)))[0][0] for picture in shown[1:]]
    assert all(a >= b for a, b in pairwise(tops)), "it rises"
    assert not any(np.array_equal(a, b) for a, b in pairwise(shown))


def refused(folder: Path, inputs: dict[str, Path], weights: Path, **params: Any) -> str:
    with pytest.raises((DataError, StageError)) as caught:
        run(folder, inputs, weights, **params)
    assert not (folder / "out/synchrony.json").exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_scored(inputs: dict[str, Path], weights: Path, tmp_path: Path) -> None:
    blind = make_faces(tmp_path / "e", lips=False, frames=FRAMES)
    assert "has no region 'lips'" in refused(tmp_path / "1", inputs | {"data": blind}, weights)
    slow = make_faces(tmp_path / "f", fps=25.0, frames=FRAMES)
    assert "run infer on these" in refused(tmp_path / "2", inputs | {"data": slow}, weights)
    silent = make_faces(tmp_path / "g", sound=False, frames=FRAMES)
    assert "C_s1.wav is not there" in refused(tmp_path / "3", inputs | {"data": silent}, weights)
    leaning = make_faces(tmp_path / "h", up="x", frames=FRAMES)
    assert "have 'x' pointing up" in refused(tmp_path / "4", inputs | {"data": leaning}, weights)
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pt")
    assert "is no SyncNet" in refused(tmp_path / "5", inputs, tmp_path / "other.pt")
    made = make_predictions(tmp_path / "p", Sequences(inputs["data"]).path)
    file = made / "npy" / "C_s1_condition_A.npy"
    rows = np.load(file)
    rows[5, 7] = np.nan
    np.save(file, rows)
    said = refused(tmp_path / "6", inputs | {"predictions": made}, weights)
    assert said.startswith(f"{file} cannot be drawn: 1 of ")


def test_codes_are_no_faces(inputs: dict[str, Path], weights: Path, tmp_path: Path) -> None:
    made = make_predictions(tmp_path / "p", inputs["data"])
    index = json.loads((made / "predictions.json").read_text())
    for track, said in (
        (
            "nphm_expression",
            "make faces of them with the stage drive, and give what that makes, or surfaces with meshes",
        ),
        ("controls", "nothing makes faces of them"),
    ):
        (made / "predictions.json").write_text(json.dumps(index | {"track": track}))
        told = refused(tmp_path / track, inputs | {"predictions": made}, weights)
        assert f"holds rows of the track '{track}' and no vertices: {said}" in told


def test_a_sentence_that_is_too_short(inputs: dict[str, Path], weights: Path, tmp_path: Path) -> None:
    """It has no score, and the others have; nothing at all is an error."""
    made = make_predictions(tmp_path / "p", inputs["data"])
    for style in "AB":
        file = made / "npy" / f"C_s1_condition_{style}.npy"
        np.save(file, np.load(file)[:12])
        change_item(made, f"C_s1_condition_{style}", frames=12)
    job = run(tmp_path / "some", inputs | {"predictions": made}, weights)
    found = Synchronies(job.out)
    assert found.predicted("C_s1_condition_A") == Score(
        None, None, None, None, 5, 12, [], digest_of(made / "npy" / "C_s1_condition_A.npy")
    )
    assert found.info.means["predicted"].sequences == 1
    assert found.info.means["truth"].sequences == 2
    assert job.said[-1] == (
        "2 of 4 predictions have no score: they are shorter than 6 windows of sound and pictures, 440 ms"
    )
    short = make_faces(tmp_path / "short", frames=4)
    with pytest.raises(StageError, match="has no prediction that can be scored: all are shorter than 6 windows"):
        run(tmp_path / "none", {"data": short, "predictions": make_predictions(tmp_path / "q", short)}, weights)


def test_sound_alone_has_no_truth(inputs: dict[str, Path], weights: Path, tmp_path: Path) -> None:
    data = make_faces(tmp_path / "d", frames=FRAMES)
    made = make_predictions(tmp_path / "p", data)
    index = json.loads((data / "sequences.json").read_text())
    index["sequences"]["C_s1"]["frames"] = 0
    (data / "sequences.json").write_text(json.dumps(index))
    found = Synchronies(run(tmp_path / "r", {"data": data, "predictions": made}, weights).out)
    assert list(found.info.truth) == ["C_s2"]
    assert found.predicted("C_s1_condition_A").lse_d is not None  # type: ignore[union-attr]


def test_what_is_refused_before_anything_is_trained(weights: Path) -> None:
    def components(*slots: str, file: Path = weights) -> list[str]:
        return list(LipSync(Params(weights=str(file))).components({slot: Upstream(slot, slot, {}) for slot in slots}))

    assert components("data", "predictions") == components("data", "surfaces") == []
    with pytest.raises(RecipeError, match="lipsync looks at predictions or at surfaces, and neither is wired"):
        components("data")
    with pytest.raises(RecipeError, match="and both are wired: wire one of them"):
        components("data", "surfaces", "predictions")
    with pytest.raises(
        RecipeError, match=r"absent\.model is missing, lipsync's weights: take syncnet_v2\.model, which"
    ):
        components("data", "predictions", file=Path("absent.model"))
    assert LipSync(Params(weights="a")).sources().files == {"weights": Path("a")}


def given(folder: Path) -> Given:
    files = {
        str(path.relative_to(folder)): (1, path.read_bytes().hex()) for path in folder.rglob("*") if path.is_file()
    }
    tops: dict[str, str] = {}
    for name, (_, digest) in sorted(files.items()):
        top = name.partition("/")[0]
        tops[top] = tops.get(top, "") + name + digest
    return Given(folder, tops, lambda: Manifest(files))


def items(inputs: dict[str, Path], weights: str = "w") -> dict[str, str]:
    """Id → all that its scores depend on, with files as they are."""
    found = LipSync(Params(weights="a")).items(
        {slot: given(folder) for slot, folder in inputs.items()}, {"weights": weights}
    )
    assert found.each is not None
    return {name: json.dumps([facts, found.shared]) for name, facts in found.each.items()}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before | after if before.get(name) != after.get(name)}


def test_what_a_score_hangs_on(tmp_path: Path) -> None:
    """A sentence more, also of a newcomer, is that sentence's work; the network, the mesh and its regions are all's."""
    data = make_faces(tmp_path / "d")
    made = make_predictions(tmp_path / "p", data)
    inputs, both = {"data": data, "predictions": made}, {"C_s1", "C_s2"}
    before = items(inputs)
    assert before.keys() == both
    more = make_faces(tmp_path / "more", splits=SPLITS | {"D_s1": "test"})
    wider = make_predictions(tmp_path / "wider", more)
    assert changed(before, items({"data": more, "predictions": wider})) == {"D_s1"}

    def after(change: Callable[[], Any]) -> set[str]:
        nonlocal before
        change()
        found = items(inputs)
        told, before = changed(before, found), found
        return told

    assert after(lambda: soundfile.write(data / "wav" / "C_s2.wav", np.full(9000, 0.1), 16_000)) == {"C_s2"}
    assert after(lambda: (made / "npy" / "C_s1_condition_B.npy").write_bytes(b"other motion")) == {"C_s1"}
    assert after(lambda: (data / "vertices_npy" / "C_s1.npy").write_bytes(b"another truth")) == {"C_s1"}
    assert after(lambda: (data / "vertices_npy" / "A_s1.npy").write_bytes(b"of a training sentence")) == set()
    assert after(lambda: (data / "transcripts.json").write_text("{}")) == set()
    assert after(lambda: write_region(data, "lips", LIPS[:-1])) == both
    assert changed(before, items(inputs, weights="other")) == both


def test_what_a_score_of_surfaces_hangs_on(eggs: dict[str, Path]) -> None:
    before = items(eggs)
    file = mesh_file(eggs["surfaces"], "B_s1_condition_B", 2)
    file.write_bytes(mesh_file(eggs["surfaces"], "B_s1_condition_B", 1).read_bytes())
    assert changed(before, items(eggs)) == {"B_s1"}


def test_damaged_scores(inputs: dict[str, Path], weights: Path, tmp_path: Path) -> None:
    job = run(tmp_path, inputs, weights, truth=False)
    file = job.out / "predicted" / "C_s1_condition_A.json"
    file.write_text('{"lse_d": "a"}')
    with pytest.raises(DataError, match=r"C_s1_condition_A\.json is not a score of lips and sound .*make it with lips"):
        Synchronies(job.out).predicted("C_s1_condition_A")
    (job.out / "synchrony.json").write_text("[]")
    with pytest.raises(DataError, match=r"synchrony\.json is not an index of scores"):
        _ = Synchronies(job.out).info
