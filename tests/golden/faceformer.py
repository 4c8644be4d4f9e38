"""Runner of the FaceFormer cases: whole networks of any size, and the tables and length rules they rest on."""

from __future__ import annotations

import dataclasses
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from models.faceformer.face import FaceFormer
from models.faceformer.settings import Settings
from models.positions import alignment_mask, head_slopes, periodic_encoding, temporal_bias
from models.resample import feature_length, features_per_frame, frame_count, interpolate
from tests.golden.case import Case
from tests.golden.faces import DATASETS, FaceRunner, decoder_settings, facts_of, gradient_of
from tests.golden.patterns import Patterns

output = Patterns()


class FaceFormerRunner(FaceRunner[FaceFormer]):
    """Computes any output of a FaceFormer case. Everything expensive is computed once, and only when asked for."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._gradients: dict[tuple[str, str], dict[str, np.ndarray]] = {}

    def output(self, name: str) -> np.ndarray:
        return output.compute(self, name)

    def build(self) -> FaceFormer:
        state = {name: torch.from_numpy(array) for name, array in self.case.state().items()}
        shapes = {name.removeprefix("module."): tuple(value.shape) for name, value in state.items()}
        settings = Settings(**decoder_settings(self.case.config, shapes))
        facts = facts_of(self.case.config, shapes, subjects=shapes["obj_vector.weight"][1])
        network = FaceFormer.build(settings, facts).eval()
        network.load_official(state)
        return network

    @cached_property
    @torch.no_grad()
    def decoded(self) -> Tensor:
        return self.network.decode_own(self.memory, self.network.obj_vector(self.style))

    @cached_property
    def prediction(self) -> Tensor:
        return self.network.predict(self.features[0], self.template[0], self.style)

    def loss(self, mode: str, which: str | None) -> Tensor:
        """The training loss in one mode against in/vertices_<which>, with its graph."""
        clips = self.clips("vertices" if which is None else f"vertices_{which}")
        forced = mode == "teacher_forced"
        self.network.settings = dataclasses.replace(self.network.settings, teacher_forcing=forced)
        return self.network.losses(clips)["loss"]

    def gradients_of(self, mode: str, which: str) -> dict[str, np.ndarray]:
        """Published parameter name → gradient of one loss."""
        if (mode, which) not in self._gradients:
            self._gradients[mode, which] = self.gradients(self.loss(mode, which))
        return self._gradients[mode, which]


@output(r"conv_features")
def _conv_features(run: FaceFormerRunner) -> Tensor:
    return run.features


@output(r"resampled_features")
def _resampled_features(run: FaceFormerRunner) -> Tensor:
    return run.resampled(run.frames)


@output(r"encoder_output(?:_every_(\d+)(?:st|nd|rd|th)_channel)?")
def _encoder_output(run: FaceFormerRunner, step: int | None) -> Tensor:
    return run.encoded(run.frames)[..., :: step or 1]


@output(r"memory")
def _memory(run: FaceFormerRunner) -> Tensor:
    return run.memory


@output(r"frames")
def _frames(run: FaceFormerRunner) -> int:
    return run.frames


@output(r"decoder_first_step")
def _decoder_first_step(run: FaceFormerRunner) -> Tensor:
    return run.decoded[:, :1]


@output(r"decoder_last_step")
def _decoder_last_step(run: FaceFormerRunner) -> Tensor:
    return run.decoded


@output(r"prediction")
def _prediction(run: FaceFormerRunner) -> Tensor:
    return run.prediction


@output(r"(first|last)_frame")
def _end_frame(run: FaceFormerRunner, end: str) -> Tensor:
    return run.prediction[:, 0 if end == "first" else -1]


@output(r"loss_(teacher_forced|autoregressive)(?:_(\w+))?")
def _loss(run: FaceFormerRunner, mode: str, which: str | None) -> float:
    return run.loss(mode, which).item()


@output(r"grad_(teacher_forced|autoregressive)(?:_(\w+))?/(.+)")
def _gradient(run: FaceFormerRunner, mode: str, which: str, parameter: str) -> np.ndarray:
    return gradient_of(run.gradients_of(mode, which), parameter)


# -- tables ------------------------------------------------------------------------------------------------------------


def _rows(run: FaceFormerRunner, period: int) -> int:
    """Rows of the published table, which holds whole periods."""
    longest: int = run.case.config.get("max_seq_len", 600)
    return period * (longest // period + 1)


@output(r"pe_period(\d+)_dim(\d+)_first_(\d+)_rows")
def _first_rows(run: FaceFormerRunner, period: int, dim: int, rows: int) -> Tensor:
    return periodic_encoding(rows, dim, period)


@output(r"pe_period(\d+)_dim(\d+)_last_row")
def _last_row(run: FaceFormerRunner, period: int, dim: int) -> Tensor:
    return periodic_encoding(_rows(run, period), dim, period)[-1]


@output(r"pe_period(\d+)_dim(\d+)_shape")
def _table_shape(run: FaceFormerRunner, period: int, dim: int) -> tuple[int, ...]:
    return (1, *periodic_encoding(_rows(run, period), dim, period).shape)


def _bias(run: FaceFormerRunner, period: int) -> np.ndarray:
    config = run.case.config
    bias = temporal_bias(config.get("max_seq_len", 600), config.get("n_head", 4), period)
    table: np.ndarray = bias.numpy()
    return table


@output(r"bias_period(\d+)_first_(\d+)")
def _first_biases(run: FaceFormerRunner, period: int, count: int) -> np.ndarray:
    return _bias(run, period)[:, :count, :count]


@output(r"bias_period(\d+)_row_(\d+)")
def _bias_row(run: FaceFormerRunner, period: int, row: int) -> np.ndarray:
    return _bias(run, period)[:, row]


@output(r"bias_period(\d+)_last_row")
def _last_bias_row(run: FaceFormerRunner, period: int) -> np.ndarray:
    last: np.ndarray = _bias(run, period)[:, -1]
    return last


@output(r"bias_period(\d+)_shape")
def _bias_shape(run: FaceFormerRunner, period: int) -> tuple[int, ...]:
    return _bias(run, period).shape


@output(r"bias_period(\d+)_sum_of_finite_per_head")
def _bias_sums(run: FaceFormerRunner, period: int) -> np.ndarray:
    bias = _bias(run, period).astype(np.float64)
    return np.where(np.isfinite(bias), bias, 0.0).sum((1, 2))


@output(r"bias_period(\d+)_count_of_minus_infinity")
def _bias_holes(run: FaceFormerRunner, period: int) -> int:
    return int(np.isneginf(_bias(run, period)).sum())


@output(r"slopes_(\d+)_heads")
def _slopes(run: FaceFormerRunner, heads: int) -> np.ndarray:
    return np.array(head_slopes(heads))


@output(r"alignment_((?i:vocaset|biwi))_T(\d+)_S(\d+)")
def _alignment(run: FaceFormerRunner, dataset: str, frames: int, steps: int) -> Tensor:
    return alignment_mask(frames, steps, features_per_frame(DATASETS[dataset.casefold()].alignment))


# -- lengths -----------------------------------------------------------------------------------------------------------


def _automatic(run: FaceFormerRunner, length: int) -> int:
    config = run.case.config
    return frame_count(length, config.get("output_fps", 30), config.get("input_fps", 50))


@output(r"(\d+)_to_(\d+|auto)")
def _interpolated(run: FaceFormerRunner, length: int, target: int | str) -> Tensor:
    features = torch.from_numpy(run.case.input(f"{length}_to_{target}"))
    count = _automatic(run, length) if target == "auto" else int(target)
    return torch.stack([interpolate(clip, count) for clip in features])


@output(r"auto_length_for_(\d+)_to_(\d+)")
def _automatic_lengths(run: FaceFormerRunner, first: int, last: int) -> list[int]:
    return [_automatic(run, length) for length in range(first, last + 1)]


@output(r"conv_length")
def _conv_lengths(run: FaceFormerRunner) -> list[int]:
    return [feature_length(int(samples)) for samples in run.case.input("samples")]


@output(r"frames_((?i:vocaset|biwi))")
def _frame_counts(run: FaceFormerRunner, dataset: str) -> list[int]:
    lengths = [feature_length(int(samples)) for samples in run.case.input("samples")]
    return [length // 2 if dataset.casefold() == "biwi" else _automatic(run, length) for length in lengths]
