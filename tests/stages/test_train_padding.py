"""A padded batch of the loop's own clips gives what one clip at a time gives: losses, gradients, predictions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.codetalker import Settings as CodeTalkerSettings
from models.codetalker.face import CodeTalker
from models.codetalker_vq import Settings as PriorSettings
from models.codetalker_vq.autoencoder import MotionAutoencoder
from models.faceformer import Settings as FaceFormerSettings
from models.faceformer.face import FaceFormer
from models.selftalk import Settings as SelfTalkSettings
from models.selftalk.face import SelfTalk
from models.talking_face import Speech
from pipeline.stage import Input
from stages.kinds.sequences import Sequences
from stages.train import Params
from stages.train.clips import ClipReader
from stages.train.trainer import Trainer
from tests.stages.train_runs import clips, inputs, new_job, with_text

__all__ = ["inputs"]

HEARS: dict[str, Any] = {
    "feature_dim": 16,
    "encoder_layers": 1,
    "encoder_width": 32,
    "encoder_heads": 2,
    "dropout": 0.0,
    "encoder_dropout": 0.0,
    "layerdrop": 0.0,
    "mask_time_prob": 0.0,
}
READS: dict[str, Any] = {
    "encoder_attention_dropout": 0.0,
    "interpreter_layers": 1,
    "interpreter_heads": 2,
    "interpreter_feedforward": 16,
    # Each loss of about one size.
    "position_weight": 1.0,
    "velocity_weight": 1.0,
    "latent_weight": 1.0,
    "text_weight": 1.0,
}
PRIOR = PriorSettings(
    hidden_size=24, layers=1, heads=3, feedforward=20, tokens=4, token_width=6, codes=12, dropout=0.0, motion_scale=0.01
)


def loud(network: Any) -> Any:
    """No layer at zero, where every gradient before it would be nothing."""
    draw = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        if parameter.requires_grad and parameter.ndim > 1 and not parameter.any():
            nn.init.normal_(parameter, std=0.1, generator=draw)
    return network


def network(name: str, reader: ClipReader) -> Any:
    torch.manual_seed(0)
    if name == "codetalker-vq":
        return MotionAutoencoder.build(PRIOR, reader.facts())
    if name == "codetalker":
        settings = CodeTalkerSettings(layers=1, feedforward=32, **HEARS)
        return loud(CodeTalker.build(settings, reader.facts(), MotionAutoencoder.build(PRIOR, reader.facts()).eval()))
    if name == "selftalk":
        return loud(SelfTalk.build(SelfTalkSettings(**HEARS, **READS), reader.facts()))
    return loud(FaceFormer.build(FaceFormerSettings(teacher_forcing="forced" in name, **HEARS), reader.facts()))


NAMES = ("faceformer", "faceformer-forced", "codetalker-vq", "codetalker", "selftalk")


def reader(name: str, inputs: dict[str, Input]) -> ClipReader:
    if name == "selftalk":
        return with_text(inputs, SelfTalkSettings().wants())
    return ClipReader(Sequences(inputs["data"].path), None) if name == "codetalker-vq" else clips(inputs)


def gradients(
    name: str, inputs: dict[str, Input], folder: Path, **params: Any
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Mean losses and the gradient of one step over all training clips."""
    read = reader(name, inputs)
    given = Params(model="x", epochs=1, **params)
    trainer = Trainer(new_job(folder, inputs), network(name, read), read, given)
    trainer.module.train()
    (work,) = trainer.order.epoch(0)
    lines: Iterator[Any] = (read.batch(piece.takes) for piece in trainer.stepper.pieces(work))
    found = trainer.stepper.gradients(work, lines, lambda: (False, False))
    grads = {key: value.grad for key, value in trainer.module.named_parameters() if value.grad is not None}
    return found.means(), grads


@pytest.mark.parametrize("name", NAMES)
def test_a_padded_batch_has_the_losses_and_gradients_of_single_clips(
    inputs: dict[str, Input], tmp_path: Path, name: str
) -> None:
    losses, together = gradients(name, inputs, tmp_path / "a", batch_size=4)
    expected, alone = gradients(name, inputs, tmp_path / "b", batch_size=1, accumulate=4)
    assert {key: losses[key] for key in expected} == pytest.approx(expected, rel=1e-5)
    assert together.keys() == alone.keys()
    largest = max(grad.abs().max() for grad in alone.values())
    assert largest > 0
    for key, grad in alone.items():
        torch.testing.assert_close(together[key], grad, rtol=1e-5, atol=1e-5 * float(largest))


@pytest.mark.parametrize("name", ["faceformer", "codetalker", "selftalk"])
def test_predictions_of_a_batch_are_those_of_single_clips(inputs: dict[str, Input], name: str) -> None:
    read = reader(name, inputs)
    face = network(name, read).eval()
    batch = read.batch([take for takes in read.takes("train") for take in takes])
    speeches = [
        Speech(batch.features[i, : int(length)], batch.template[i], batch.style[i : i + 1])
        for i, length in enumerate(batch.feature_lengths)
    ]
    for speech, motion in zip(speeches, face.predict_all(speeches), strict=True):
        alone = face.predict(speech.features, speech.template, speech.styles)
        torch.testing.assert_close(motion, alone, rtol=1e-5, atol=1e-5)
