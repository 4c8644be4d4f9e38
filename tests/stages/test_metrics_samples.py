"""Numbers of several samples of a sentence: their mean, the best of them, how far apart they are; and of a track."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from cache.manifest import Manifest
from faces import metrics, metrics_codes
from faces.errors import DataError
from faces.metrics_definitions import DEFINITIONS
from pipeline.errors import StageError
from pipeline.stage import Given
from stages.kinds import tracks
from stages.kinds.predictions import Predictions
from stages.kinds.sequences import VERTICES, Sequences
from stages.metrics import Metrics, Params
from tests.stages.metrics_runs import csv_rows, make_predictions, make_samples, numbers, report, run
from tests.stages.tiny import make_sequences
from tests.stages.tracked import SIZE, TRACK, add_track

SEEDS = (7, 8, 9)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Sequences:
    return Sequences(add_track(make_sequences(tmp_path_factory.mktemp("data") / "sequences")))


def each(made: Predictions, name: str) -> list[np.ndarray]:
    return [made.rows(f"{name}_condition_mean_seed{seed}") for seed in SEEDS]


def errors(data: Sequences, made: Predictions) -> dict[str, list[float]]:
    """Sentence → the mean vertex error of each sample."""
    found = {}
    for name in data.ids("test"):
        truth = data.vertices(name).astype(np.float64)
        samples = [motion.reshape(truth.shape) for motion in each(made, name)]
        found[name] = [float(np.linalg.norm(one - truth, axis=2).mean()) for one in samples]
    return found


def test_the_mean_and_the_best(data: Sequences, tmp_path: Path) -> None:
    predictions = make_samples(tmp_path / "p", data)
    job = run(tmp_path / "run", data.path, predictions)
    found, apart = numbers(job), errors(data, Predictions(predictions))
    frames = [data.entry(name).frames for name in apart]
    mean, best = found["model", "mve/facediffuser"], found["best of 3", "mve/facediffuser"]
    assert mean["value"] == pytest.approx(np.average([np.mean(of_one) for of_one in apart.values()], weights=frames))
    assert best["value"] == pytest.approx(np.average([min(of_one) for of_one in apart.values()], weights=frames))
    assert best["value"] < mean["value"]
    assert (mean["samples"], best["samples"]) == (3, 3)
    assert best["subject_rule"] == "the best of 3 samples of each sentence"
    assert mean["subject_rule"] == DEFINITIONS["mve/facediffuser"].styles
    assert "samples" not in found["neutral template", "mve/facediffuser"]
    assert report(job)["samples"]["count"] == 3
    table = next(text for text in job.said if "best of 3" in text)
    assert [line.split("  ")[0] for line in table.splitlines()[1:3]] == ["model", "best of 3"]
    assert "diversity mm" in table


def test_the_best_is_of_errors_alone(data: Sequences, tmp_path: Path) -> None:
    found = numbers(run(tmp_path / "run", data.path, make_samples(tmp_path / "p", data)))
    best = {metric for row, metric in found if row == "best of 3"}
    model = {metric for row, metric in found if row == "model"}
    assert model - best == {
        *("fdd/codetalker", "fdd/facediffuser", "opening_correlation/facepipe", "diversity_samples/facepipe"),
    }
    assert best <= model


def test_diversity_is_of_samples(data: Sequences, tmp_path: Path) -> None:
    predictions = make_samples(tmp_path / "p", data)
    found, made = numbers(run(tmp_path / "run", data.path, predictions)), Predictions(predictions)
    record = found["model", "diversity_samples/facepipe"]
    shape = (-1, data.info.vertices, 3)
    expected = [metrics.diversity([one.reshape(shape) for one in each(made, name)]) for name in data.ids("test")]
    assert record["value"] == pytest.approx(np.mean(expected))
    assert record["subject_rule"] == "every sample"
    assert ("model", "diversity/facediffuser") not in found


def test_every_sample_is_in_the_csv(data: Sequences, tmp_path: Path) -> None:
    rows = csv_rows(run(tmp_path / "run", data.path, make_samples(tmp_path / "p", data)))
    assert [row["seed"] for row in rows if (row["row"], row["id"]) == ("model", "D_s01")] == ["7", "8", "9"]
    (best,) = [row for row in rows if (row["row"], row["id"]) == ("best of 3", "D_s01")]
    assert (best["seed"], best["condition"], best["fdd/facediffuser"]) == ("", "", "")
    ours = [float(row["lve/faceformer"]) for row in rows if (row["row"], row["id"]) == ("model", "D_s01")]
    assert float(best["lve/faceformer"]) == min(ours)
    plain = csv_rows(run(tmp_path / "plain", data.path, make_predictions(tmp_path / "q", data)))
    assert "seed" not in plain[0]


def test_one_sample_is_no_choice(data: Sequences, tmp_path: Path) -> None:
    job = run(tmp_path / "run", data.path, make_samples(tmp_path / "p", data, count=1))
    assert {row for row, _ in numbers(job)} == {"model", "neutral template", "mean motion"}
    assert "best" not in report(job)["samples"]
    assert ("model", "diversity_samples/facepipe") not in numbers(job)


def test_the_best_is_of_as_many_everywhere(data: Sequences, tmp_path: Path) -> None:
    """A sentence with more samples than others would have more to choose from."""
    predictions = make_samples(tmp_path / "p", data)
    index = Predictions(predictions).info
    gone = "D_s01_condition_mean_seed9"
    from stages.kinds.predictions import Info, write_index

    write_index(predictions, Info(**{**vars(index), "items": {n: i for n, i in index.items.items() if n != gone}}))
    job = run(tmp_path / "run", data.path, predictions)
    apart = errors(data, Predictions(make_samples(tmp_path / "q", data)))
    frames = [data.entry(name).frames for name in apart]
    best = [min(of_one[:2]) for of_one in apart.values()]
    assert numbers(job)["best of 2", "mve/facediffuser"]["value"] == pytest.approx(np.average(best, weights=frames))


def test_paired_tests_compare_means_over_samples(data: Sequences, tmp_path: Path) -> None:
    drawn, other = make_samples(tmp_path / "p", data), make_predictions(tmp_path / "q", data)
    job = run(tmp_path / "run", data.path, drawn, other)
    tests = {test["metric"]: test for test in report(job)["paired"]["tests"]}
    found = numbers(job)
    assert tests["mve/facediffuser"]["value"] == pytest.approx(found["model", "mve/facediffuser"]["value"])
    assert tests["mve/facediffuser"]["sequences"] == len(data.ids("test"))


def test_figures_of_samples(data: Sequences, tmp_path: Path) -> None:
    job = run(tmp_path / "run", data.path, make_samples(tmp_path / "p", data), figures=True, curves=1)
    drawn = {file.stem for file in (job.out / "figures").glob("*.png")}
    assert {"baselines", "lve_by_subject", "error_map"} <= drawn
    assert any(name.startswith("opening_") and "_seed7" in name for name in drawn)


# -- of a track --------------------------------------------------------------------------------------------------------


def test_codes_are_held_against_the_truths(data: Sequences, tmp_path: Path) -> None:
    predictions = make_samples(tmp_path / "p", data, track=TRACK)
    job = run(tmp_path / "run", data.path, predictions, figures=True)
    found, made, truth = numbers(job), Predictions(predictions), tracks.read_tracks(data.path)[TRACK]
    assert {row for row, _ in found} == {"model", "best of 3", "neutral code", "mean code"}
    assert {metric for row, metric in found if row == "model"} == {
        *("code_mse/facepipe", "code_velocity/facepipe", "diversity_codes/facepipe"),
    }
    names = data.ids("test")
    frames = [len(truth[name]) for name in names]
    squared = [[float(np.square(one - truth[name]).mean()) for one in each(made, name)] for name in names]
    assert found["model", "code_mse/facepipe"]["value"] == pytest.approx(
        np.average(np.mean(squared, axis=1), weights=frames), rel=1e-5
    )
    assert found["best of 3", "code_mse/facepipe"]["value"] == pytest.approx(
        np.average(np.min(squared, axis=1), weights=frames), rel=1e-5
    )
    speeds = [
        np.mean([metrics_codes.code_velocity(truth[name], one, data.fps) for one in each(made, name)]) for name in names
    ]
    velocity = found["model", "code_velocity/facepipe"]
    assert velocity["value"] == pytest.approx(np.average(speeds, weights=[count - 1 for count in frames]))
    assert (velocity["unit"], velocity["region"]) == ("1/s", "codes")
    spread = [metrics_codes.diversity(each(made, name)) for name in names]
    assert found["model", "diversity_codes/facepipe"]["value"] == pytest.approx(np.mean(spread))
    taught = np.concatenate([truth[name] for name in data.ids("train")]).astype(np.float64).mean(axis=0)
    for row, code in (("neutral code", np.zeros(SIZE)), ("mean code", taught)):
        still = [float(np.square(truth[name] - code).mean()) for name in names]
        expected = np.average(still, weights=frames)
        assert found[row, "code_mse/facepipe"]["value"] == pytest.approx(expected, rel=1e-5)
    assert report(job)["track"] == TRACK
    assert [note for note in report(job)["notes"] if "of which nothing makes faces" in note] == report(job)["notes"]
    assert {file.name for file in (job.out / "figures").iterdir()} == {"baselines.png", "baselines.pdf"}


def test_vertices_cannot_be_measured_of_a_track(data: Sequences, tmp_path: Path) -> None:
    predictions = make_samples(tmp_path / "p", data, track=TRACK)
    with pytest.raises(
        StageError, match=r"lve/facediffuser cannot be had: the predictions are rows of the track 'codes'"
    ):
        run(tmp_path / "a", data.path, predictions, definitions=["lve/facediffuser"])
    with pytest.raises(StageError, match=r"code_mse/facepipe cannot be had: the predictions are of vertices"):
        run(tmp_path / "b", data.path, make_predictions(tmp_path / "q", data), definitions=["code_mse/facepipe"])


def test_tracks_that_do_not_fit(data: Sequences, tmp_path: Path) -> None:
    predictions = make_samples(tmp_path / "p", data, track=TRACK)
    plain = make_sequences(tmp_path / "plain")
    with pytest.raises(
        DataError, match="has no framewise track 'codes', of which the predictions are rows; it has none"
    ):
        run(tmp_path / "a", plain, predictions)
    with pytest.raises(
        StageError, match=r"holds rows of the track 'codes' and .* vertices: what is compared must be of one"
    ):
        run(tmp_path / "b", data.path, predictions, make_predictions(tmp_path / "q", data))
    with pytest.raises(DataError, match="has no rows of D_s01, whose raw data lack them"):
        run(tmp_path / "c", add_track(make_sequences(tmp_path / "less"), without=("D_s01",)), predictions)
    for file in (predictions / "npy").iterdir():
        np.save(file, np.load(file)[:, :-1])
    with pytest.raises(DataError, match=r"has 4 numbers a frame and the track in .* 5: use the sequences that"):
        run(tmp_path / "d", data.path, predictions)


def test_what_numbers_hang_on(data: Sequences, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    shutil.copytree(data.path, folder)
    made = {"track": make_samples(tmp_path / "t", data, track=TRACK), "vertices": make_samples(tmp_path / "v", data)}
    stage = Metrics(Params())

    def given(path: Path) -> Given:
        files = {
            str(file.relative_to(path)): (1, file.read_bytes().hex()) for file in path.rglob("*") if file.is_file()
        }
        tops = {name.partition("/")[0] for name in files}
        content = {top: str(sorted(item for item in files.items() if item[0].partition("/")[0] == top)) for top in tops}
        return Given(path, content, lambda: Manifest(files))

    def keys() -> dict[str, tuple[object, object, object]]:
        slots = {name: {"data": given(folder), "predictions": given(path)} for name, path in made.items()}
        items = {name: stage.items(both, {}) for name, both in slots.items()}
        return {name: (stage.reads(slots[name])["data"], found.each, found.shared) for name, found in items.items()}

    before = keys()
    np.save(folder / VERTICES / "D_s01.npy", np.zeros((1, 3), np.float32))
    assert {name for name in made if keys()[name] != before[name]} == {"vertices"}
    before = keys()
    (folder / tracks.FOLDER / TRACK / "D_s01.npy").write_bytes(b"other")
    after = keys()
    assert {name for name in made if after[name] != before[name]} == {"track"}
    assert after["track"][2] == before["track"][2]
    (folder / tracks.FOLDER / TRACK / "A_s01.npy").write_bytes(b"of a training sentence")
    assert keys()["track"][2] != before["track"][2]
