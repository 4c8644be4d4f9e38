"""The health of a network: the metrics' own numbers on a few clips, and when they end a training."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cache.manifest import Manifest
from faces import metrics_measures
from faces.errors import DataError
from faces.lip_vertices import FLAME, lip_middles
from faces.metrics_parts import Parts
from faces.metrics_stream import Apart, Moving
from models.sampling import Sampling
from models.talking_face import Speech
from pipeline.stage import Given, Input
from stages.kinds.sequences import Sequences
from stages.train import Params, Train, health
from stages.train.clips import ClipReader
from stages.train.health import Health, examine, hardly_moves, motion_energy, verdict
from tests.stages import fake_prior
from tests.stages.tiny import REGIONS, make_sequences
from tests.stages.train_runs import clips, inputs

__all__ = ["inputs"]
VAL = ("B_s02", "C_s01", "C_s02", "C_s03")


class Mouth(nn.Module):
    """Says of each clip what `change` makes of its truth; the clips are told by their order."""

    def __init__(self, reader: ClipReader, change: Callable[[np.ndarray], np.ndarray]) -> None:
        super().__init__()
        self.made = [change(reader.data.vertices(name).astype(np.float64)).astype(np.float32) for name in VAL]
        self.heard: list[Speech] = []

    def predict_all(self, speeches: list[Speech]) -> list[Tensor]:
        assert not self.training
        assert not torch.is_grad_enabled()
        self.heard = speeches
        return [torch.from_numpy(made.reshape(1, len(made), -1)) for made in self.made[: len(speeches)]]


def of_mouth(reader: ClipReader, change: Callable[[np.ndarray], np.ndarray]) -> Health:
    found = examine(Mouth(reader, change), reader, "cpu")  # type: ignore[arg-type]
    assert found is not None
    return found


def halved_and_noisy(truth: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(len(truth)).normal(scale=2e-3, size=truth.shape)
    return truth[0] + 0.5 * (truth - truth[0]) + noise


def without(inputs: dict[str, Input], folder: Path, *regions: str) -> ClipReader:
    """The same data, of which some regions are missing."""
    shutil.copytree(inputs["data"].path, folder)
    for region in regions:
        (folder / "regions" / f"{region}.txt").unlink()
    return clips(inputs | {"data": Input(folder, "sequences", "tiny", {})})


def test_numbers_are_those_of_the_metrics(inputs: dict[str, Input]) -> None:
    reader = clips(inputs)
    found = of_mouth(reader, halved_and_noisy)
    regions = {name: np.array(REGIONS[name]) for name in ("lips", "lip_upper", "lip_lower")}
    parts, per_clip, frames = Parts(12, **regions), [], []
    for name in VAL:
        truth = reader.data.vertices(name)
        made = halved_and_noisy(truth.astype(np.float64)).astype(np.float32)
        moving, other, apart = Moving(truth[0], parts), Moving(truth[0], parts), Apart(parts)
        moving.add(truth)
        other.add(made)
        apart.add(truth, made)
        per_clip.append(metrics_measures.of_prediction(parts, moving, other, apart, 30.0))
        frames.append(len(truth))
    assert found.lve == pytest.approx(np.average([one["lip_squared"] for one in per_clip], weights=frames), rel=1e-12)
    expected = np.mean([one["opening_correlation"] for one in per_clip])
    assert found.lip_correlation == pytest.approx(expected, rel=1e-12)
    assert 0.1 < expected < 0.9


def test_energy_is_a_share_of_the_truths(inputs: dict[str, Input]) -> None:
    reader = clips(inputs)
    assert of_mouth(reader, lambda truth: truth).motion_energy == pytest.approx(1.0)
    half = of_mouth(reader, lambda truth: truth[0] + 0.5 * (truth - truth[0]))
    assert half.motion_energy == pytest.approx(0.25, rel=1e-4)
    assert half.lip_correlation == pytest.approx(1.0, abs=0.2)
    still = of_mouth(reader, lambda truth: truth[:1].repeat(len(truth), axis=0))
    assert still.motion_energy == pytest.approx(0.0, abs=1e-9)
    assert still.lip_correlation is None
    assert still.lve is not None
    assert still.lve > 0


def test_unequal_lengths_are_cut_to_the_shorter(inputs: dict[str, Input]) -> None:
    reader = clips(inputs)
    for change in (lambda truth: truth[:-3], lambda truth: np.concatenate([truth, truth + 1])):
        found = of_mouth(reader, change)
        assert found.lve == pytest.approx(0.0, abs=1e-12)
        assert found.motion_energy == pytest.approx(1.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_predictions_that_are_no_numbers(inputs: dict[str, Input], bad: float) -> None:
    def broken(truth: np.ndarray) -> np.ndarray:
        made = truth.copy()
        made[-1, 0, 0] = bad
        return made

    found = of_mouth(clips(inputs), broken)
    assert found.motion_energy is not None
    assert not math.isfinite(found.motion_energy)
    assert (found.lip_correlation, found.lve) == (None, None)
    said = verdict([{"epoch": 3, "lr": 0.1, "health": found.record()}], patience=0)
    assert said is not None
    assert said.endswith(
        "diverged: the motion that the network makes is not finite; lower lr (now 0.1) or set grad_clip"
    )


def test_a_truth_that_does_not_move(inputs: dict[str, Input], tmp_path: Path) -> None:
    reader = without(inputs, tmp_path / "still")
    for name in VAL:
        truth = reader.data.vertices(name).reshape(reader.data.entry(name).frames, -1)
        np.save(reader.data.vertex_file(name), truth[:1].repeat(len(truth), axis=0))
    found = of_mouth(reader, lambda truth: truth + np.linspace(0, 1e-2, len(truth))[:, None, None])
    assert found.motion_energy is None
    assert found.lip_correlation is None
    assert found.lve is not None
    assert found.lve > 0


def test_regions_that_are_missing(inputs: dict[str, Input], tmp_path: Path) -> None:
    no_lips = of_mouth(without(inputs, tmp_path / "a", "lips"), halved_and_noisy)
    assert no_lips.lve is None
    assert no_lips.lip_correlation is not None
    one_lip = of_mouth(without(inputs, tmp_path / "b", "lip_upper"), halved_and_noisy)
    assert one_lip.lip_correlation is None
    assert one_lip.lve is not None
    none = of_mouth(without(inputs, tmp_path / "c", *REGIONS), halved_and_noisy)
    assert (none.lip_correlation, none.lve) == (None, None)
    assert none.motion_energy is not None


def test_lips_of_a_known_topology_are_told_apart() -> None:
    lips = np.array([1, *FLAME.upper, *FLAME.lower])
    found = lip_middles(FLAME.vertices, {}, [lips])
    assert found is not None
    assert (found.topology, tuple(found.upper), tuple(found.lower)) == ("FLAME", FLAME.upper, FLAME.lower)
    assert lip_middles(FLAME.vertices, {}, []) is None
    assert lip_middles(FLAME.vertices, {"lip_upper": lips}, [lips]) is None
    own = lip_middles(FLAME.vertices, {"lip_upper": lips[:1], "lip_lower": lips[1:]}, [lips])
    assert own is not None
    assert own.topology == ""


def test_clips_are_spread_and_cut_and_heard_in_one_style(
    inputs: dict[str, Input], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LONGEST_S", 0.2)
    reader = clips(inputs)
    mouth: Any = Mouth(reader, lambda truth: truth)
    mouth.train()
    examine(mouth, reader, "cpu", most=2)
    assert mouth.training
    assert [tuple(speech.features.shape) for speech in mouth.heard] == [(10, 80), (10, 80)]
    np.testing.assert_array_equal(mouth.heard[1].features, reader.features["C_s03"][:10])
    assert [speech.styles.tolist() for speech in mouth.heard] == [[[0, 1]], [[1, 0]]]


def test_a_clip_that_cannot_be_predicted_is_told_with_its_name(inputs: dict[str, Input]) -> None:
    def refuse(speeches: list[Speech]) -> list[Tensor]:
        raise DataError("1 speech features are too short")

    mouth: Any = Mouth(clips(inputs), lambda truth: truth)
    mouth.predict_all = refuse
    mouth.train()
    with pytest.raises(DataError, match=r"too short \(among B_s02, C_s01, C_s02, C_s03; skip"):
        examine(mouth, clips(inputs), "cpu")
    assert mouth.training


def test_training_clips_serve_where_there_are_no_others(inputs: dict[str, Input], tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(inputs["data"].path, folder)
    text = (folder / "sequences.json").read_text()
    (folder / "sequences.json").write_text(text.replace('"split": "val"', '"split": "test"'))
    reader = clips(inputs | {"data": Input(folder, "sequences", "tiny", {})})
    mouth: Any = Mouth(reader, lambda truth: truth)
    examine(mouth, reader, "cpu", most=9)
    assert len(mouth.heard) == 4
    np.testing.assert_array_equal(mouth.heard[0].features, reader.features["A_s01"])
    (folder / "sequences.json").write_text((folder / "sequences.json").read_text().replace('"train",', '"test",'))
    assert examine(mouth, clips(inputs | {"data": Input(folder, "sequences", "tiny", {})}), "cpu") is None


def test_a_prior_is_judged_by_what_it_rebuilds(tmp_path: Path) -> None:
    reader = ClipReader(Sequences(make_sequences(tmp_path / "data")), None)
    prior: Any = fake_prior.FakePrior(fake_prior.Settings(), reader.facts())
    with torch.no_grad():
        prior.direction.zero_()
        prior.direction.view(-1, 3)[3:6, 1] = 0.02  # its codes tell how low the lower lip is
    found = examine(prior, reader, "cpu")
    assert found is not None
    truth, made = [], []
    for name in VAL:
        vertices = torch.from_numpy(reader.data.vertices(name).reshape(-1, 36).copy())
        template = reader.template(name)
        truth.append(vertices)
        made.append(prior.decode(prior.encode(vertices, template), template).detach())
    energies = [sum(float((m - m.mean(0)).square().sum(1).mean()) for m in motions) for motions in (made, truth)]
    assert found.motion_energy == pytest.approx(energies[0] / energies[1], rel=1e-5)
    assert 0.1 < found.motion_energy < 2
    assert motion_energy(prior, reader, "cpu") == found.motion_energy
    assert found.lve is not None


def records(*energies: float | None, losses: tuple[float, ...] = ()) -> list[dict[str, Any]]:
    """A validation every second epoch of 100 steps. losses: of each, falling unless they are given."""
    history: list[dict[str, Any]] = []
    for number, energy in enumerate(energies, start=1):
        history.append({"epoch": 2 * number - 1, "step": 200 * number - 100, "lr": 0.01})
        last = {"epoch": 2 * number, "step": 200 * number, "lr": 0.01, "health": {"motion_energy": energy}}
        history.append(last | {"val": {"loss": losses[number - 1] if losses else 1 / number}})
    return history


RISING = (0.3, 0.4, 0.5, 0.6)


@pytest.mark.parametrize(
    ("energies", "losses"),
    [
        ((), ()),
        ((0.0, 0.01, 0.0), ()),  # not begun yet
        ((0.6, 0.03), RISING),  # once is chance
        ((0.6, 0.01, 0.6, 0.01), RISING),
        ((0.6, 0.01, 0.02, 0.06), RISING),  # it moves again
        ((0.15, 0.08, 0.04, 0.02), ()),  # a motion prior that shook at first and gets better
        ((0.6, 0.3, 0.04, 0.02), ()),
        ((0.07, 0.06, 0.04, 0.03), RISING),  # it has never moved enough to freeze
        ((None, None, None, None, None), ()),
    ],
)
def test_training_goes_on(energies: tuple[float | None, ...], losses: tuple[float, ...]) -> None:
    assert verdict(records(*energies, losses=losses), patience=5) is None


def test_a_mouth_that_froze() -> None:
    said = verdict(records(0.001, 0.63, 0.041, 0.0123, losses=(0.9, 0.3, 0.5, 0.4)), patience=5)
    assert said == (
        "the mouth has frozen: in epochs 6 and 8 the faces that the network makes have 4.1 % and 1.23 % of the truth's "
        "motion energy, and 63 % in epoch 4, the best so far; change lr (now 0.01), set motion_scale, where the model "
        "has it, to the size of the motion, and check the data; frozen_patience = 0 goes on regardless"
    )


def test_a_mouth_that_does_not_move() -> None:
    still = [0.15, 0.01, 0.02, 0.001, 0.03]
    assert verdict(records(*still), patience=5) is None
    said = verdict(records(*still, 0.0005), patience=5)
    assert said is not None
    assert said.startswith(
        "the mouth does not move: at each of the last 5 validations, up to epoch 12, the faces that the network makes "
        "have less than 5 % of the truth's motion energy, now 0.05 %; change lr"
    )


def test_a_track_that_does_not_move_is_no_mouth() -> None:
    still = verdict(records(0.15, *[0.01] * 5), patience=5, track="codes")
    froze = verdict(records(0.001, 0.63, 0.041, 0.0123, losses=(0.9, 0.3, 0.5, 0.4)), patience=5, track="codes")
    assert still is not None
    assert froze is not None
    assert still.startswith(
        "the track 'codes' does not move: at each of the last 5 validations, up to epoch 12, the rows"
    )
    assert froze.startswith(
        "the track 'codes' has frozen: in epochs 6 and 8 the rows that the network makes have 4.1 %"
    )
    for said in (still, froze):
        assert said.endswith("change lr (now 0.01) and check the data; frozen_patience = 0 goes on regardless")
    assert hardly_moves(0.012, "codes") == (
        "warning: the predicted rows of the track 'codes' hardly move (1.2 % of the truth's motion energy). Train "
        "longer, or set lr"
    )


class Drawn(Mouth):
    """One that draws, and keeps what it was asked with."""

    def __init__(self, reader: ClipReader, steps: int) -> None:
        super().__init__(reader, lambda truth: truth)
        self.sampling = self.first = Sampling(steps=steps, guidance=3.0)
        self.asked: list[Sampling] = []

    def sample_with(self, sampling: Sampling) -> None:
        self.sampling = sampling

    def predict_all(self, speeches: list[Speech]) -> list[Tensor]:
        self.asked.append(self.sampling)
        return super().predict_all(speeches)


@pytest.mark.parametrize(("steps", "taken"), [(50, 10), (4, 4)])
def test_what_is_drawn_takes_few_steps(inputs: dict[str, Input], steps: int, taken: int) -> None:
    network = Drawn(clips(inputs), steps)
    assert examine(network, clips(inputs), "cpu") is not None  # type: ignore[arg-type]
    assert network.asked == [replace(network.first, steps=taken)]
    assert network.sampling == network.first, "inference takes what it did"


def test_a_network_of_few_steps_is_not_given_up() -> None:
    assert verdict(records(0.0, 0.0), patience=2) is None  # 400 steps
    assert verdict(records(0.0, 0.0, 0.0), patience=2) is not None


def test_no_patience_goes_on_for_ever() -> None:
    assert verdict(records(*[0.0] * 50), patience=0) is None
    assert verdict(records(0.6, 0.0, 0.0, losses=RISING), patience=0) is None


def test_only_regions_of_the_lips_are_read(inputs: dict[str, Input]) -> None:
    """The forehead's may change without a training."""

    def read(**changed: str) -> dict[str, str]:
        files = {f"regions/{name}.txt": (1, f"b3:{changed.get(name, name)}") for name in REGIONS}
        given = Given(inputs["data"].path, {}, lambda: Manifest(files))
        features = Given(inputs["features"].path, {}, lambda: Manifest({}))
        return dict(Train(Params(model="faceformer")).reads({"data": given, "features": features})["data"])

    assert read(upper_face="x") == read()
    for name in ("lips", "lip_upper", "lip_lower"):
        assert read(**{name: "x"}) != read()
