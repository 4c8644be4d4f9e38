from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.kinds.predictions import Predictions
from stages.kinds.sequences import Sequences
from stages.metrics import Params, maps
from stages.metrics.choose import choose
from stages.metrics.measure import Measurer
from stages.metrics.regions import find_regions
from stages.metrics.surface import mean_surface
from tests.stages.metrics_runs import make_predictions, run
from tests.stages.tiny import make_sequences

STEMS = ["baselines", "error_map", "lve_by_subject", "motion_between_frames", "upper_face_motion"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Sequences:
    return Sequences(make_sequences(tmp_path_factory.mktemp("data") / "sequences"))


def test_figures_and_bytes(data: Sequences, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "SIZE", 64)
    predictions = make_predictions(tmp_path / "p", data)
    first, second = (run(tmp_path / name, data.path, predictions, figures=True, curves=1) for name in "ab")
    stems = sorted([*STEMS, "opening_B_s03_condition_B"])
    files = sorted(file.name for file in (first.out / "figures").iterdir())
    assert files == sorted(f"{stem}.{ending}" for stem in stems for ending in ("pdf", "png"))
    for name in files:
        made = (first.out / "figures" / name).read_bytes()
        assert made == (second.out / "figures" / name).read_bytes()
        assert b"CreationDate" not in made
        assert len(made) > 1000
    for stem in stems:
        alpha = np.asarray(Image.open(first.out / "figures" / f"{stem}.png").convert("RGBA"))[:, :, 3]
        assert alpha[0, 0] == 0
        assert alpha.max() == 255


def test_without_regions_and_training_set_the_rest_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "SIZE", 64)
    data = Sequences(make_sequences(tmp_path / "data", regions=False))
    job = run(tmp_path / "run", data.path, make_predictions(tmp_path / "p", data), figures=True)
    made = {file.stem for file in (job.out / "figures").iterdir()}
    assert made == {"baselines", "error_map", "motion_between_frames"}


def test_the_surface_is_the_mean_over_sequences(data: Sequences, tmp_path: Path) -> None:
    predictions = Predictions(make_predictions(tmp_path / "p", data, longer=0))
    cases = choose(data, predictions, None, [])
    parts = find_regions(data, Params()).parts(data)
    measurer = Measurer(data, parts, None, False)
    surface = mean_surface(measurer.measure(case).surface for case in cases)
    expected: dict[str, list[np.ndarray]] = {"error": [], "truth_deviation": [], "step": [], "step_deviation": []}
    for case in cases:
        truth = data.vertices(case.id).astype(np.float64)
        template = data.templates[case.subject].astype(np.float64)
        made = [predictions.motion(take.name).astype(np.float64) for take in case.takes]
        steps = [np.linalg.norm(np.diff(motion, axis=0), axis=2) for motion in made]
        expected["error"].append(np.mean([np.linalg.norm(truth - motion, axis=2).mean(axis=0) for motion in made], 0))
        expected["truth_deviation"].append(np.square(truth - template).sum(axis=2).std(axis=0))
        expected["step"].append(np.mean([step.mean(axis=0) for step in steps], axis=0))
        expected["step_deviation"].append(np.mean([step.std(axis=0) for step in steps], axis=0))
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(surface, name), np.mean(values, axis=0), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize(
    ("top", "unit", "high", "shown"),
    [(2.9, "mm", 3.0, "mm"), (0.0041, "√area", 5.0, "10⁻³ √area"), (3e-7, "√area²", 300.0, "10⁻⁹ √area²")],
)
def test_scales_are_round(top: float, unit: str, high: float, shown: str) -> None:
    _, scale = maps._scale(top, unit)
    assert (scale.high, scale.unit) == (high, shown)


def test_a_head_is_cut_out_of_any_ground() -> None:
    """Half transparent red, full green and nothing, on black and on white."""
    black = np.array([[[128, 0, 0], [0, 255, 0], [0, 0, 0]]], np.uint8)
    white = np.array([[[255, 127, 127], [0, 255, 0], [255, 255, 255]]], np.uint8)
    np.testing.assert_array_equal(maps._cut_out(black, white)[0], [[255, 0, 0, 128], [0, 255, 0, 255], [0, 0, 0, 0]])
